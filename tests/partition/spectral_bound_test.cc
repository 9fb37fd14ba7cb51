#include "partition/cost/spectral_bound.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "partition/model/arrangement.h"
#include "partition/search/descent.h"
#include "tests/partition/brute_force.h"
#include "tests/partition/searching.h"

namespace evenkeel::spectral_bound_test {
namespace {

using testing::BruteForce;
using testing::small_case;
using testing::SmallCase;
using testing::SmallShape;

constexpr std::size_t kIterations = 20;

/// Layers, experts, GPUs, nodes, redundant slots.
constexpr std::array<SmallShape, 12> kShapes{{{3, 4, 2, 1},
                                              {3, 4, 4, 2},
                                              {3, 6, 2, 2},
                                              {3, 6, 3, 1},
                                              {3, 6, 3, 3},
                                              {2, 6, 6, 2},
                                              {2, 6, 6, 3},
                                              {2, 6, 1, 1},
                                              {3, 4, 3, 1, 2},
                                              {3, 4, 3, 3, 2},
                                              {3, 3, 2, 1, 1},
                                              {2, 4, 6, 2, 2}}};
constexpr std::array<CommWeights, 5> kWeights{{{0.25, 1.0}, {1.0, 1.0}, {1.0, 0.5}, {0.0, 1.0}, {1.0, 0.0}}};

double optimum(const SmallCase& small) {
  const std::vector<std::int64_t> caps(small.instance.layers(), std::numeric_limits<std::int64_t>::max());
  // Where all traffic stays, shares stored as float may add up to a little more than one.
  return std::max(0.0, communication(small.instance, BruteForce(small).best(caps, 0.0)->assignment));
}

TEST(CommunicationBound, never_exceeds_the_optimum_on_300_small_instances) {
  int tight = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Objective objective;
    objective.weighted = kWeights[seed / kShapes.size() % kWeights.size()];
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], objective, seed);
    const double least = optimum(small);
    const double quick = communication_bound(small.instance, 0);
    const double improved = communication_bound(small.instance, kIterations);
    EXPECT_LE(quick, least) << "seed " << seed;
    EXPECT_LE(improved, least) << "seed " << seed;
    EXPECT_GE(improved, quick) << "seed " << seed;
    EXPECT_GE(quick, 0.0) << "seed " << seed;
    tight += improved >= 0.9 * least ? 1 : 0;
  }
  EXPECT_GT(tight, 150) << "a bound this loose bounds nothing";
}

TEST(CommunicationBound, holds_for_traffic_between_rounds_of_one_layer) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SmallShape shape = kShapes[seed % kShapes.size()];
    shape.layers = 4;
    SmallCase small = small_case(shape, {}, seed);
    small.profile = testing::with_rounds(small.profile, {0, 0, 1, 1});
    small.instance = *make_instance(small.profile, small.cluster, shape.redundant);
    const double quick = communication_bound(small.instance, 0);
    const double improved = communication_bound(small.instance, kIterations);
    EXPECT_LE(improved, optimum(small)) << "seed " << seed;
    EXPECT_GE(improved, quick) << "seed " << seed;
  }
}

TEST(CommunicationBound, lies_below_what_a_swap_descent_reaches) {
  constexpr std::array<SmallShape, 4> shapes{{{6, 16, 4, 1}, {6, 16, 8, 2}, {6, 32, 8, 2}, {4, 28, 8, 1, 4}}};
  for (const SmallShape& shape : shapes) {
    const SmallCase small = small_case(shape, {}, 7);
    const Instance& instance = small.instance;
    Arrangement arrangement(instance, testing::dealt_out(instance));
    const std::vector<std::int64_t> caps(instance.layers(), std::numeric_limits<std::int64_t>::max());
    testing::WorkSlice work;
    descend(arrangement, {caps, 0.0}, 0.0, work.slice);
    double last = 0.0;
    for (const std::size_t iterations : std::array<std::size_t, 5>{0, 1, 5, 20, 60}) {
      const double bound = communication_bound(instance, iterations);
      EXPECT_LE(bound, arrangement.communication());
      EXPECT_GE(bound, last - 1e-5);
      last = bound;
    }
    EXPECT_GT(last, communication_bound(instance, 0)) << "iterations that close nothing";
  }
}

TEST(CommunicationBound, is_zero_for_dispatch_and_for_loads_alone) {
  Objective dispatch;
  dispatch.comm = Comm::kDispatch;
  EXPECT_EQ(communication_bound(small_case({2, 6, 3, 1}, dispatch, 1).instance, kIterations), 0.0);
  const auto loads = make_instance(testing::loads_profile({{4, 3, 2, 1}}), {.gpus = 2}, 0);
  ASSERT_TRUE(loads);
  EXPECT_EQ(communication_bound(*loads, kIterations), 0.0);
}

/// Item i of one layer goes to item `step` x i of the next.
Grid<float> permutation_traffic(std::size_t items, std::size_t step) {
  Grid<float> traffic(items, items);
  for (std::size_t i = 0; i < items; ++i) traffic(i, i * step % items) = 1.0F / static_cast<float>(items);
  return traffic;
}

TEST(KeptTrafficBounds, know_that_all_traffic_of_a_permutation_can_stay) {
  const std::array<std::size_t, 3> counts{8, 2, 1};
  for (const double bound : kept_traffic_bounds(permutation_traffic(16, 3), counts, kIterations)) {
    EXPECT_NEAR(bound, 1.0, 1e-6);
  }
}

TEST(KeptTrafficBounds, know_that_even_traffic_stays_by_chance_only) {
  const std::array<std::size_t, 3> counts{8, 2, 1};
  const auto bounds = kept_traffic_bounds(Grid<float>(16, 16, 1.0F / 256.0F), counts, kIterations);
  EXPECT_NEAR(bounds[0], 1.0 / 8.0, 1e-6);
  EXPECT_NEAR(bounds[1], 1.0 / 2.0, 1e-6);
  EXPECT_NEAR(bounds[2], 1.0, 1e-6);
}

TEST(KeptTrafficBounds, count_what_a_group_of_one_keeps_to_itself) {
  Grid<float> traffic(4, 4, 0.05F);
  for (std::size_t i = 0; i < 4; ++i) traffic(i, i) = 0.175F;
  const std::array<std::size_t, 1> counts{4};
  EXPECT_NEAR(kept_own_traffic_bounds(traffic, counts, 0).front(), 0.7, 1e-6);
}

}  // namespace
}  // namespace evenkeel::spectral_bound_test
