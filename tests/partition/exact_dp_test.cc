#include "partition/exact/exact_dp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "partition/exact/layer_states.h"
#include "partition/foundation/random.h"
#include "partition/search/descent.h"
#include "partition/search/layer_descent.h"
#include "partition/warmstart/lpt.h"
#include "tests/partition/brute_force.h"
#include "tests/partition/searching.h"

namespace evenkeel::exact_dp_test {
namespace {

using testing::BruteForce;
using testing::peak_sum;
using testing::small_case;
using testing::SmallCase;
using testing::SmallShape;
using testing::weighted;

constexpr std::int64_t kNoCap = std::numeric_limits<std::int64_t>::max();

/// Every kind of nesting: one slot or several, one node or several, nodes of one GPU. Layers, experts, GPUs, nodes.
constexpr std::array<SmallShape, 16> kShapes{{{3, 4, 2, 1},
                                              {3, 4, 2, 2},
                                              {3, 4, 4, 1},
                                              {3, 4, 4, 2},
                                              {3, 4, 4, 4},
                                              {3, 5, 5, 1},
                                              {2, 5, 5, 5},
                                              {3, 6, 2, 1},
                                              {3, 6, 2, 2},
                                              {3, 6, 3, 1},
                                              {3, 6, 3, 3},
                                              {2, 6, 6, 1},
                                              {2, 6, 6, 2},
                                              {2, 6, 6, 3},
                                              {2, 6, 1, 1},
                                              {3, 8, 2, 2}}};

void expect_valid(const Instance& instance, const Assignment& assignment, std::span<const std::int64_t> caps) {
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    std::vector<std::size_t> taken(instance.gpus, 0);
    for (const GpuIndex gpu : assignment[layer]) ++taken.at(gpu);
    for (const std::size_t slots : taken) EXPECT_EQ(slots, instance.slots_per_gpu());
    EXPECT_LE(std::ranges::max(gpu_load_units(instance, assignment, layer)), caps[layer]);
  }
}

/// The cost found is that of brute force, whose own idea of cost agrees with communication() up to its float tables.
void expect_optimal(const SmallCase& small, std::span<const std::int64_t> caps, double peak_weight) {
  ASSERT_TRUE(exact_dp_fits(small.instance));
  const auto found = exact_dp(small.instance, {caps, peak_weight});
  const auto optimum = BruteForce(small).best(caps, peak_weight);
  ASSERT_EQ(found.has_value(), optimum.has_value());
  if (!found) return;
  expect_valid(small.instance, *found, caps);
  const auto cost = [&](const Assignment& assignment) {
    return communication(small.instance, assignment) + peak_weight * peak_sum(small.instance, assignment);
  };
  EXPECT_NEAR(cost(*found), cost(optimum->assignment), 1e-9);
  EXPECT_NEAR(cost(*found), optimum->cost, 1e-5);
}

TEST(ExactDp, finds_the_optimum_of_the_weighted_sum_on_300_small_instances) {
  constexpr std::array<CommWeights, 4> kWeights{{{0.25, 1.0}, {1.0, 1.0}, {1.0, 0.5}, {0.0, 1.0}}};
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const CommWeights& weights = kWeights[seed / kShapes.size() % kWeights.size()];
    const SmallCase small =
        small_case(kShapes[seed % kShapes.size()], weighted(weights.other_gpu, weights.other_node), seed);
    const std::vector<std::int64_t> caps(small.instance.layers(), kNoCap);
    expect_optimal(small, caps, seed % 3 == 0 ? 0.1 : 1.0);
  }
}

TEST(ExactDp, finds_the_least_communication_within_caps_on_300_small_instances) {
  int infeasible = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], {}, seed);
    std::vector<std::int64_t> caps = exact_largest_loads(small.instance);
    for (std::int64_t& cap : caps) cap += cap * static_cast<std::int64_t>(seed % 5) / 20;
    if (seed % 10 == 9) {
      caps.back() = exact_largest_loads(small.instance).back() - 1;
      EXPECT_FALSE(exact_dp(small.instance, {caps, 0.0}));
      ++infeasible;
    }
    expect_optimal(small, caps, 0.0);
  }
  EXPECT_EQ(infeasible, 30);
}

TEST(ExactDp, finds_the_least_dispatch_on_300_small_instances) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], testing::dispatch(), seed);
    std::vector<std::int64_t> caps(small.instance.layers(), kNoCap);
    if (seed % 2 == 1) caps = exact_largest_loads(small.instance);
    expect_optimal(small, caps, 0.0);
  }
}

TEST(ExactDp, counts_traffic_between_rounds_of_one_layer) {
  constexpr std::array<SmallShape, 4> shapes{{{2, 4, 4, 2}, {2, 6, 2, 1}, {2, 6, 3, 1}, {2, 6, 3, 3}}};
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    SmallShape shape = shapes[seed % shapes.size()];
    shape.layers = 4;
    SmallCase small = small_case(shape, weighted(0.25, 1.0), seed);
    small.profile = testing::with_rounds(small.profile, {0, 0, 1, 1});
    small.instance = *make_instance(small.profile, small.cluster, 0, small.instance.objective);
    const std::vector<std::int64_t> caps(small.instance.layers(), kNoCap);
    expect_optimal(small, caps, seed % 2 == 0 ? 1.0 : 0.0);
  }
}

TEST(ExactDp, finds_the_optimum_of_eight_experts_on_two_nodes_of_two_gpus) {
  const SmallCase small = small_case({2, 8, 4, 2}, weighted(0.25, 1.0), 5);
  const std::vector<std::int64_t> caps(small.instance.layers(), kNoCap);
  expect_optimal(small, caps, 1.0);
}

TEST(ExactDp, knows_the_least_largest_loads) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], {}, seed);
    const auto loads = exact_largest_loads(small.instance);
    const BruteForce brute(small);
    for (std::size_t layer = 0; layer < loads.size(); ++layer) {
      EXPECT_EQ(loads[layer], brute.least_largest_load(layer)) << "seed " << seed;
    }
  }
}

TEST(ExactDp, is_never_worse_than_a_swap_descent_on_models_of_eight_experts) {
  constexpr std::array<SmallShape, 5> shapes{
      {{32, 8, 2, 1}, {32, 8, 4, 1}, {32, 8, 4, 2}, {32, 8, 8, 1}, {32, 8, 8, 2}}};
  for (const SmallShape& shape : shapes) {
    SmallCase small = small_case(shape, {}, 3);
    Arrangement start(small.instance, lpt_assignment(small.instance));
    std::vector<std::int64_t> caps;
    for (std::size_t layer = 0; layer < shape.layers; ++layer) caps.push_back(std::ranges::max(start.gpu_load(layer)));
    testing::WorkSlice work;
    descend(start, {caps, 0.0}, kHardCap, work.slice);
    ASSERT_TRUE(exact_dp_fits(small.instance));
    const auto found = exact_dp(small.instance, {caps, 0.0});
    ASSERT_TRUE(found);
    expect_valid(small.instance, *found, caps);
    EXPECT_LE(communication(small.instance, *found), start.communication() + 1e-9) << shape.gpus << "/" << shape.nodes;
  }
}

TEST(ExactDp, solves_one_slot_a_gpu_and_one_node_at_any_size) {
  const SmallCase small = small_case({4, 16, 16, 1}, {}, 1);
  ASSERT_TRUE(exact_dp_fits(small.instance));
  const std::vector<std::int64_t> caps(4, kNoCap);
  const auto found = exact_dp(small.instance, {caps, 0.0});
  ASSERT_TRUE(found);
  expect_valid(small.instance, *found, caps);
  Arrangement arrangement(small.instance, *found);
  testing::WorkSlice work;
  descend(arrangement, {caps, 0.0}, 0.0, work.slice);
  EXPECT_NEAR(arrangement.communication(), communication(small.instance, *found), 1e-9);
}

TEST(ExactDp, refuses_what_it_cannot_enumerate) {
  EXPECT_FALSE(exact_dp_fits(small_case({4, 64, 8, 1}, {}, 1).instance)) << "too many states";
  EXPECT_FALSE(exact_dp_fits(small_case({3, 6, 4, 1, 2}, {}, 1).instance)) << "replicas";
  SmallCase ring = small_case({4, 6, 3, 1}, {}, 1);
  ring.profile = testing::with_rounds(ring.profile, {0, 1, 2, 0});
  EXPECT_FALSE(exact_dp_fits(*make_instance(ring.profile, ring.cluster, 0))) << "no chain";
}

TEST(LayerStates, are_as_many_as_counted) {
  constexpr std::array<SmallShape, 7> shapes{
      {{1, 8, 4, 1}, {1, 8, 4, 2}, {1, 8, 8, 2}, {1, 8, 8, 1}, {1, 8, 4, 4}, {1, 6, 3, 1}, {1, 9, 9, 3}}};
  constexpr std::array<std::size_t, 7> states{105, 315, 35, 1, 105, 15, 280};
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto& shape = shapes[i];
    const LayerStateCounts counts = count_layer_states(shape.experts, shape.gpus, shape.nodes);
    const LayerStates all = enumerate_layer_states(shape.experts, shape.gpus, shape.nodes);
    EXPECT_EQ(all.states.rows(), states[i]);
    EXPECT_EQ(static_cast<double>(all.states.rows()), counts.states);
    EXPECT_EQ(static_cast<double>(all.blocks.rows()), counts.blocks);
    EXPECT_EQ(static_cast<double>(all.bins.rows()), counts.bins);
    EXPECT_EQ(all.blocks.cols(), counts.gpus_per_block);
    EXPECT_EQ(all.states.cols(), counts.blocks_per_state);
  }
}

}  // namespace
}  // namespace evenkeel::exact_dp_test
