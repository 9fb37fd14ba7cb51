#include "partition/model/arrangement.h"

#include <gtest/gtest.h>

#include "partition/foundation/random.h"
#include "partition/model/instance.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/starts.h"

namespace evenkeel::arrangement_test {
namespace {

/// Swaps at random and holds each promised gain against the objective computed anew.
void expect_gains_hold(const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant) {
  const auto instance = make_instance(profile, cluster, redundant);
  ASSERT_TRUE(instance);
  Arrangement arrangement(*instance, testing::dealt_out(*instance));
  Random random(11, 3);
  for (int swap = 0; swap < 60; ++swap) {
    const std::size_t layer = random.below(static_cast<std::uint32_t>(instance->layers()));
    const std::size_t i = random.below(static_cast<std::uint32_t>(instance->items()));
    const std::size_t j = random.below(static_cast<std::uint32_t>(instance->items()));
    if (arrangement.gpu_of(layer, i) == arrangement.gpu_of(layer, j)) continue;
    const double before = arrangement.communication();
    const double gain = arrangement.swap_gain(layer, i, j);
    arrangement.swap(layer, i, j);
    ASSERT_NEAR(before - arrangement.communication(), gain, 1e-6) << "layer " << layer;
  }
  for (std::size_t layer = 0; layer < instance->layers(); ++layer) {
    const auto expected = gpu_load_units(*instance, arrangement.assignment(), layer);
    EXPECT_TRUE(std::ranges::equal(arrangement.gpu_load(layer), expected));
  }
}

TEST(Arrangement, promises_the_gain_that_a_swap_brings_on_one_node) {
  expect_gains_hold(testing::structured_profile({4, 16, 2, 400}, 1), {.gpus = 4, .nodes = 1}, 0);
}

TEST(Arrangement, promises_the_gain_that_a_swap_brings_on_several_nodes) {
  expect_gains_hold(testing::structured_profile({4, 16, 2, 400}, 2), {.gpus = 8, .nodes = 2}, 0);
}

TEST(Arrangement, promises_the_gain_that_a_swap_brings_with_replicas) {
  expect_gains_hold(testing::structured_profile({4, 16, 2, 400}, 3), {.gpus = 4, .nodes = 2}, 4);
}

TEST(Arrangement, promises_the_gain_that_a_swap_brings_with_several_rounds_a_layer) {
  auto profile = testing::structured_profile({4, 16, 2, 400}, 4);
  profile.paths.layer_of_round = {0, 0, 0, 1};
  profile.shape.layer_ids = {0, 1};
  Grid<std::uint64_t> load(2, 16, 50);
  profile.windows = {{.load_tokens = load}};
  expect_gains_hold(profile, {.gpus = 4, .nodes = 2}, 0);
}

TEST(Instance, gives_spare_slots_to_the_largest_load_a_copy_and_never_two_a_gpu) {
  Grid<std::uint64_t> load(1, 4);
  std::ranges::copy(std::vector<std::uint64_t>{1000, 10, 10, 10}, load[0].begin());
  const auto copies = greedy_copies(load, 4, 3);
  EXPECT_EQ(std::vector<int>(copies[0].begin(), copies[0].end()), (std::vector<int>{3, 2, 2, 1}));
}

TEST(Instance, refuses_tables_beyond_reason) {
  RoutingProfile profile = testing::structured_profile({3, 16, 2, 50}, 1);
  profile.shape.experts = 40'000;
  profile.windows = {{.load_tokens = Grid<std::uint64_t>(3, 40'000, 1)}};
  const auto instance = make_instance(profile, {.gpus = 2, .nodes = 1}, 0);
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().code, ErrorCode::kInvalidInput);
}

}  // namespace
}  // namespace evenkeel::arrangement_test
