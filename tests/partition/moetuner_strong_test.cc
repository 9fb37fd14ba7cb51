#include "partition/baseline/moetuner_strong.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "partition/baseline/cluster_instance.h"
#include "partition/baseline/cluster_sweep.h"
#include "partition/baseline/grouping_chain.h"
#include "partition/warmstart/lpt.h"
#include "tests/partition/cluster_maps.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/validity.h"

namespace evenkeel::moetuner_strong_test {
namespace {

constexpr std::uint64_t kPlenty = 1'000'000'000'000;

RoutingProfile repeated_layer_profile() {
  auto profile = testing::structured_profile({4, 16, 2, 400}, 4);
  profile.paths.layer_of_round = {0, 0, 1, 0};
  profile.shape.layer_ids = {0, 1};
  profile.windows = {{.load_tokens = Grid<std::uint64_t>(2, 16, 50)}};
  return profile;
}

Assignment solve(const Instance& instance, const Assignment& balanced) {
  Budget budget = Budget::work(kPlenty);
  return moetuner_strong_assignment(instance, balanced, budget);
}

void expect_exact(std::size_t layers, const Cluster& cluster, std::uint64_t seeds) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const auto instance = make_instance(testing::structured_profile({layers, 24, 2, 300}, seed), cluster, 0);
    const Assignment balanced = lpt_assignment(*instance);
    EXPECT_NEAR(communication(*instance, solve(*instance, balanced)),
                testing::least_communication(cluster_instance(*instance, balanced)), 1e-5)
        << "seed " << seed;
  }
}

TEST(MoetunerStrong, is_exact_on_one_node) { expect_exact(3, {.gpus = 4, .nodes = 1}, 5); }

TEST(MoetunerStrong, is_exact_with_one_gpu_a_node) { expect_exact(3, {.gpus = 4, .nodes = 4}, 5); }

TEST(MoetunerStrong, is_exact_on_two_nodes_of_two_gpus) { expect_exact(3, {.gpus = 4, .nodes = 2}, 5); }

TEST(MoetunerStrong, is_exact_on_six_gpus) {
  expect_exact(2, {.gpus = 6, .nodes = 2}, 1);
  expect_exact(2, {.gpus = 6, .nodes = 3}, 1);
}

TEST(MoetunerStrong, is_never_worse_than_its_start_and_moves_no_load) {
  for (const Cluster& cluster : {Cluster{.gpus = 8, .nodes = 1}, Cluster{.gpus = 8, .nodes = 4},
                                 Cluster{.gpus = 16, .nodes = 2}, Cluster{.gpus = 16, .nodes = 4}}) {
    const auto instance = make_instance(testing::structured_profile({6, 32, 2, 1000}, 3), cluster, 0);
    const Assignment balanced = lpt_assignment(*instance);
    const Assignment result = solve(*instance, balanced);
    ASSERT_TRUE(testing::is_valid(*instance, result));
    EXPECT_LT(communication(*instance, result), communication(*instance, balanced));
    for (std::size_t layer = 0; layer < instance->layers(); ++layer) {
      auto before = gpu_load_units(*instance, balanced, layer);
      auto after = gpu_load_units(*instance, result, layer);
      std::ranges::sort(before);
      std::ranges::sort(after);
      EXPECT_EQ(before, after) << "layer " << layer;
    }
    // Nothing is left to gain from a second call.
    EXPECT_NEAR(communication(*instance, solve(*instance, result)), communication(*instance, result), 1e-4);
  }
}

TEST(MoetunerStrong, has_sweeps_that_never_beat_the_exact_chain) {
  const auto instance = make_instance(testing::structured_profile({6, 32, 2, 1000}, 3), {.gpus = 8, .nodes = 2}, 0);
  const Instance clusters = cluster_instance(*instance, lpt_assignment(*instance));
  Budget budget = Budget::work(kPlenty);
  const auto exact = best_chain_map(clusters, budget);
  ASSERT_TRUE(exact);
  const double swept = communication(clusters, swept_map(clusters, forward_map(clusters), budget));
  EXPECT_GE(swept, communication(clusters, *exact) - 1e-5);
  EXPECT_LT(swept, 1.05 * communication(clusters, *exact));
}

TEST(MoetunerStrong, takes_layers_that_are_no_chain) {
  const auto instance = make_instance(repeated_layer_profile(), {.gpus = 4, .nodes = 2}, 0);
  const Assignment balanced = lpt_assignment(*instance);
  const Assignment result = solve(*instance, balanced);
  EXPECT_TRUE(testing::is_valid(*instance, result));
  EXPECT_LE(communication(*instance, result), communication(*instance, balanced));
}

TEST(MoetunerStrong, keeps_copies_of_an_expert_apart) {
  const auto instance = make_instance(testing::structured_profile({4, 12, 2, 400}, 1), {.gpus = 4, .nodes = 2}, 4);
  const Assignment balanced = lpt_assignment(*instance);
  const Assignment result = solve(*instance, balanced);
  EXPECT_TRUE(testing::is_valid(*instance, result));
  EXPECT_LE(communication(*instance, result), communication(*instance, balanced));
}

TEST(MoetunerStrong, is_its_start_without_traffic_or_budget) {
  const auto loads = make_instance(testing::loads_profile({{4, 3, 2, 1}, {1, 2, 3, 4}}), {.gpus = 2}, 0);
  EXPECT_EQ(solve(*loads, lpt_assignment(*loads)), lpt_assignment(*loads));
  const auto instance = make_instance(testing::structured_profile({4, 12, 2, 400}, 1), {.gpus = 4, .nodes = 2}, 0);
  Budget none = Budget::work(0);
  EXPECT_EQ(moetuner_strong_assignment(*instance, lpt_assignment(*instance), none), lpt_assignment(*instance));
}

TEST(ClusterInstance, costs_what_its_maps_cost) {
  Random random(2, 0);
  for (const auto& profile : {testing::structured_profile({4, 16, 2, 400}, 2), repeated_layer_profile()}) {
    const auto instance = make_instance(profile, {.gpus = 4, .nodes = 2}, 0);
    const Assignment balanced = lpt_assignment(*instance);
    const Instance clusters = cluster_instance(*instance, balanced);
    Assignment map(clusters.layers(), clusters.gpus);
    for (std::size_t layer = 0; layer < clusters.layers(); ++layer) {
      std::iota(map[layer].begin(), map[layer].end(), GpuIndex{0});
      random.shuffle(map[layer]);
    }
    EXPECT_NEAR(communication(clusters, map), communication(*instance, mapped(balanced, map)), 1e-5);
  }
}

}  // namespace
}  // namespace evenkeel::moetuner_strong_test
