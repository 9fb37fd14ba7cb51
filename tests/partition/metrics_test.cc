#include "partition/cost/metrics.h"

#include <gtest/gtest.h>

#include "partition/cost/path_sums.h"
#include "partition/model/instance.h"
#include "tests/partition/fixtures.h"

namespace evenkeel::metrics_test {
namespace {

/// Two tokens of two layers on two GPUs that hold experts {0, 1} and {2, 3}.
RoutingProfile two_tokens() {
  RoutingProfile profile;
  profile.shape = {{0, 1}, 4, std::nullopt};
  profile.paths = {2, {0, 1}, {0, 1, 0, 2, /**/ 2, 3, 3, 2}, {0, 1, 2}};
  Grid<std::uint64_t> load(2, 4);
  for (std::size_t i = 0; i < profile.paths.experts.size(); ++i) ++load(i / 2 % 2, profile.paths.experts[i]);
  profile.windows = {{.load_tokens = load}};
  return profile;
}

TEST(Metrics, are_those_computed_by_hand) {
  const auto placement = contiguous_placement({0, 1}, 4, 0, 2, 1);
  const auto metrics = measure(two_tokens(), *placement, {.gpus = 2, .nodes = 1}, {}, Comm::kResident);
  ASSERT_TRUE(metrics);
  // Layer 0: 2 and 2 tokens. Layer 1: 1 and 3.
  EXPECT_DOUBLE_EQ(metrics->imbalance_by_layer[0], 1.0);
  EXPECT_DOUBLE_EQ(metrics->imbalance_by_layer[1], 1.5);
  EXPECT_DOUBLE_EQ(metrics->imbalance_mean, 1.25);
  EXPECT_DOUBLE_EQ(metrics->imbalance_worst, 1.5);
  EXPECT_DOUBLE_EQ(metrics->sglang_balancedness, (1.0 + 2.0 / 3.0) / 2);
  EXPECT_DOUBLE_EQ(metrics->vllm_balancedness, 4.0 / 5.0);
  EXPECT_DOUBLE_EQ(metrics->trtllm_imbalance, 0.25);
  EXPECT_DOUBLE_EQ(metrics->ascend_par, 1.25);
  // Token 0 goes from GPU 0 to GPUs 0 and 1 equally, token 1 stays on GPU 1.
  EXPECT_DOUBLE_EQ(*metrics->same_gpu_share, 0.75);
  EXPECT_DOUBLE_EQ(*metrics->same_node_share, 1.0);
  EXPECT_DOUBLE_EQ(*metrics->gpus_touched, (1 + 2 + 1 + 1) / 4.0);
  EXPECT_DOUBLE_EQ(*metrics->nodes_touched, 1.0);
  EXPECT_FALSE(metrics->churn);
}

TEST(Metrics, take_replicas_by_the_expected_value_of_an_even_split) {
  // Experts 0 and 1 on both GPUs: a token's two experts are on distinct GPUs with probability 1/2.
  RoutingProfile profile;
  profile.shape = {{0}, 2, std::nullopt};
  profile.paths = {2, {0}, {0, 1}, {0, 1}};
  profile.windows = {{.load_tokens = Grid<std::uint64_t>(1, 2, 1)}};
  const auto placement = contiguous_placement({0}, 2, 2, 2, 1);
  const auto metrics = measure(profile, *placement, {.gpus = 2, .nodes = 1}, {}, Comm::kDispatch);
  EXPECT_DOUBLE_EQ(*metrics->gpus_touched, 1.5);
  EXPECT_FALSE(metrics->same_gpu_share) << "one layer has no transitions";
}

TEST(Metrics, of_traffic_agree_with_what_the_solver_optimises) {
  for (const Cluster& cluster : {Cluster{.gpus = 4, .nodes = 1}, Cluster{.gpus = 8, .nodes = 4}}) {
    for (const std::size_t redundant : {0U, 8U}) {
      const auto profile = testing::structured_profile({4, 16, 2, 400}, 5);
      const auto instance = make_instance(profile, cluster, redundant);
      Assignment assignment(instance->layers(), instance->items());
      for (std::size_t layer = 0; layer < instance->layers(); ++layer) {
        for (std::size_t item = 0; item < instance->items(); ++item) {
          assignment(layer, item) = static_cast<GpuIndex>((item + layer) % instance->gpus);
        }
      }
      const auto sums = sum_paths(profile.paths, to_placement(*instance, assignment));
      EXPECT_NEAR(communication_cost(sums, cluster, {}), communication(*instance, assignment), 1e-5);
    }
  }
}

TEST(Metrics, count_moves_against_the_running_placement) {
  const auto from = contiguous_placement({0, 1}, 4, 0, 2, 1);
  auto fields = from->fields();
  std::swap(fields.expert_of_slot(0, 0), fields.expert_of_slot(0, 2));
  const auto to = Placement::create(fields);
  const auto metrics = measure(two_tokens(), *to, {.gpus = 2, .nodes = 1}, {}, Comm::kResident, &*from);
  EXPECT_DOUBLE_EQ(*metrics->churn, 2.0 / 8.0);
  EXPECT_DOUBLE_EQ(*metrics->moved_bytes, 2 * 44e6);
  EXPECT_EQ(*metrics->rounds, 1U);
}

TEST(Metrics, count_experts_doubled_on_a_gpu) {
  Placement::Fields fields{{0, 1}, 4, 1, {3, 3}, Grid<ExpertIndex>(2, 6), std::nullopt};
  for (std::size_t layer = 0; layer < 2; ++layer)
    std::ranges::copy(std::vector<ExpertIndex>{0, 0, 1, 2, 3, 1}, fields.expert_of_slot[layer].begin());
  const auto placement = Placement::create(fields);
  const auto metrics = measure(two_tokens(), *placement, {.gpus = 2, .nodes = 1}, {}, Comm::kResident);
  EXPECT_EQ(metrics->duplicate_slots, 2U);
}

TEST(Metrics, refuse_a_placement_of_another_model) {
  const auto placement = contiguous_placement({0, 2}, 4, 0, 2, 1);
  EXPECT_FALSE(measure(two_tokens(), *placement, {.gpus = 2, .nodes = 1}, {}, Comm::kResident));
}

}  // namespace
}  // namespace evenkeel::metrics_test
