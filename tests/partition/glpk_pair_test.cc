#include "partition/exact/glpk_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "partition/exact/exact_sweep.h"
#include "tests/partition/brute_force.h"
#include "tests/partition/searching.h"
#include "tests/partition/validity.h"

namespace evenkeel::glpk_pair_test {
namespace {

using testing::is_valid;
using testing::is_within;
using testing::small_case;
using testing::SmallCase;
using testing::SmallShape;
using testing::WorkSlice;

/// Two slots a GPU. Layers, experts, GPUs, nodes, redundant slots.
constexpr std::array<SmallShape, 5> kShapes{
    {{4, 8, 4, 1}, {4, 8, 4, 2}, {4, 6, 4, 1, 2}, {4, 6, 4, 2, 2}, {3, 6, 3, 3}}};
/// Relative gap at which a solve counts as closed, of what a block keeps: at most all traffic.
constexpr double kGap = 1e-3;

/// Loads of the start are the caps, with some room in every other case.
std::vector<std::int64_t> caps_of(const Instance& instance, const Assignment& start, std::uint64_t seed) {
  return testing::with_slack(largest_loads(instance, start), seed % 2 == 0 ? 0.0 : 0.3);
}

/// Calls visit(assignment) for every way to fill the given GPUs of the given layers anew, everything else as it is.
void for_each_refill(const Instance& instance, const Assignment& start, const std::vector<std::size_t>& layers,
                     const std::vector<GpuIndex>& gpus, const std::function<void(const Assignment&)>& visit,
                     std::size_t depth = 0) {
  if (depth == layers.size()) return visit(start);
  const std::size_t layer = layers[depth];
  std::vector<std::size_t> items;
  for (std::size_t item = 0; item < instance.items(); ++item) {
    if (std::ranges::find(gpus, start(layer, item)) != gpus.end()) items.push_back(item);
  }
  std::vector<GpuIndex> fill;
  for (const std::size_t item : items) fill.push_back(start(layer, item));
  std::ranges::sort(fill);
  do {
    Assignment next = start;
    for (std::size_t index = 0; index < items.size(); ++index) next(layer, items[index]) = fill[index];
    for_each_refill(instance, next, layers, gpus, visit, depth + 1);
  } while (std::ranges::next_permutation(fill).found);
}

/// The least communication of all refills within the caps.
double least_of_refills(const Instance& instance, const Assignment& start, const std::vector<std::int64_t>& caps,
                        const std::vector<std::size_t>& layers, const std::vector<GpuIndex>& gpus) {
  double least = communication(instance, start);
  for_each_refill(instance, start, layers, gpus, [&](const Assignment& candidate) {
    if (is_within(instance, candidate, caps) && is_valid(instance, candidate))
      least = std::min(least, communication(instance, candidate));
  });
  return least;
}

TEST(GlpkPair, finds_the_best_split_of_small_blocks_and_proves_it) {
  int improved = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], {}, seed);
    const Instance& instance = small.instance;
    Arrangement arrangement(instance, testing::dealt_out(instance));
    const auto caps = caps_of(instance, arrangement.assignment(), seed);
    const PairBlock block{seed % 2, 2, seed % (instance.layers() - 2), 3};
    const double before = arrangement.communication();
    const PairSolution solution = solve_pair(arrangement, caps, block, {std::nullopt, 100'000});
    for (const ItemMove& move : solution.moves) arrangement.move(move.layer, move.item, move.to);
    ASSERT_TRUE(is_valid(instance, arrangement.assignment()));
    EXPECT_TRUE(is_within(instance, arrangement.assignment(), caps));
    EXPECT_NEAR(before - arrangement.communication(), solution.gain, 1e-6);
    const double least = least_of_refills(instance, testing::dealt_out(instance), caps,
                                          {block.first_layer, block.first_layer + 1, block.first_layer + 2},
                                          {static_cast<GpuIndex>(block.gpu_a), static_cast<GpuIndex>(block.gpu_b)});
    EXPECT_NEAR(arrangement.communication(), least, kGap);
    EXPECT_GE(arrangement.communication() - solution.gain_bound, 0.0);
    EXPECT_LE(arrangement.communication() - solution.gain_bound, least + 1e-6);
    EXPECT_TRUE(solution.is_closed);
    improved += solution.gain > 1e-6 ? 1 : 0;
  }
  EXPECT_GT(improved, 20);
}

TEST(GlpkPair, bounds_the_gain_where_its_search_is_cut_off) {
  const SmallCase small = small_case(kShapes[0], {}, 1);
  const Arrangement arrangement(small.instance, testing::dealt_out(small.instance));
  const auto caps = caps_of(small.instance, arrangement.assignment(), 1);
  const PairSolution closed = solve_pair(arrangement, caps, {0, 1, 0, 3}, {std::nullopt, 100'000});
  const PairSolution cut = solve_pair(arrangement, caps, {0, 1, 0, 3}, {std::nullopt, 0});
  EXPECT_GE(cut.gain + cut.gain_bound, closed.gain - 1e-9);
}

TEST(ExactSweeps, never_raise_communication_and_tell_what_they_gained) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], {}, seed);
    const Instance& instance = small.instance;
    for (auto* sweep : {sweep_layers, sweep_pairs}) {
      for (const std::uint64_t units : {1ULL, 10'000'000ULL, 1'000'000'000ULL}) {
        Arrangement arrangement(instance, testing::dealt_out(instance));
        const auto caps = caps_of(instance, arrangement.assignment(), seed);
        const double before = arrangement.communication();
        WorkSlice work(units);
        const BlockReport report = sweep(arrangement, caps, work.slice);
        EXPECT_TRUE(is_valid(instance, arrangement.assignment()));
        EXPECT_TRUE(is_within(instance, arrangement.assignment(), caps));
        EXPECT_LE(arrangement.communication(), before + 1e-9);
        EXPECT_NEAR(before - arrangement.communication(), report.gain, 1e-6);
        EXPECT_TRUE(report.gain_bound || units < 1'000'000'000ULL);
        EXPECT_TRUE(!report.gain_bound || units > 1) << "one solve proves nothing of the other blocks";
      }
    }
  }
}

TEST(ExactSweeps, prove_that_no_layer_and_no_pair_of_gpus_gains_more) {
  int closed = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], {}, seed);
    const Instance& instance = small.instance;
    Arrangement arrangement(instance, testing::dealt_out(instance));
    const auto caps = caps_of(instance, arrangement.assignment(), seed);
    const auto gain_of = [&](const std::vector<std::size_t>& layers, const std::vector<GpuIndex>& gpus) {
      return arrangement.communication() - least_of_refills(instance, arrangement.assignment(), caps, layers, gpus);
    };
    std::vector<GpuIndex> all_gpus(instance.gpus);
    std::iota(all_gpus.begin(), all_gpus.end(), GpuIndex{0});
    WorkSlice for_layers;
    const auto of_layers = sweep_layers(arrangement, caps, for_layers.slice).gain_bound;
    ASSERT_TRUE(of_layers);
    EXPECT_LT(*of_layers, 0.01);
    for (std::size_t layer = 0; layer < instance.layers(); ++layer)
      EXPECT_LE(gain_of({layer}, all_gpus), *of_layers + 1e-6);
    WorkSlice for_pairs;
    const BlockReport pairs = sweep_pairs(arrangement, caps, for_pairs.slice);
    const auto of_pairs = pairs.gain_bound;
    ASSERT_TRUE(of_pairs);
    if (pairs.closed == pairs.solves) {
      ++closed;
      EXPECT_LT(*of_pairs, 0.01);
    }
    for (GpuIndex a = 0; a < instance.gpus; ++a) {
      for (GpuIndex b = 0; b < a; ++b) {
        for (std::size_t layer = 0; layer + 1 < instance.layers(); ++layer)
          EXPECT_LE(gain_of({layer, layer + 1}, {a, b}), *of_pairs + 1e-6) << "GPUs " << a << ", " << b;
      }
    }
  }
  EXPECT_GT(closed, 5);
}

TEST(ExactSweeps, prove_nothing_of_layers_with_several_rounds) {
  const auto profile = testing::with_rounds(testing::structured_profile({4, 8, 2, 200}, 1), {0, 0, 1, 2});
  const Instance instance = *make_instance(profile, {.gpus = 4, .nodes = 1}, 0);
  Arrangement arrangement(instance, testing::dealt_out(instance));
  const auto caps = largest_loads(instance, arrangement.assignment());
  WorkSlice work;
  EXPECT_FALSE(sweep_layers(arrangement, caps, work.slice).gain_bound);
  EXPECT_TRUE(std::ranges::equal(arrangement.assignment()[0], testing::dealt_out(instance)[0]));
  EXPECT_EQ(sweep_pairs(arrangement, caps, work.slice).solves, 0U);
}

}  // namespace
}  // namespace evenkeel::glpk_pair_test
