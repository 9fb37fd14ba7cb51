#include "partition/place.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "partition/cost/metrics.h"
#include "partition/cost/path_sums.h"
#include "partition/cost/verify.h"
#include "partition/model/instance.h"
#include "partition/search/balance.h"
#include "partition/search/descent.h"
#include "partition/warmstart/lpt.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"

namespace evenkeel::place_test {
namespace {

PlaceOptions with_work(Strategy strategy, std::uint64_t units = 2'000'000) {
  PlaceOptions options;
  options.strategy = strategy;
  options.effort.work_units = units;
  return options;
}

TEST(Place, answers_every_strategy_with_a_valid_placement) {
  const auto profile = testing::structured_profile({4, 16, 2, 800}, 1);
  const Cluster cluster{.gpus = 4, .nodes = 2};
  for (const Strategy strategy : all_strategies()) {
    // GLPK's own branch and bound needs that many nodes to a first solution.
    const std::uint64_t units = strategy == Strategy::kMoetuner ? 200'000'000 : 2'000'000;
    PlaceOptions options = with_work(strategy, units);
    options.problem.groups = 4;  // hierarchical EPLB needs groups that divide over the nodes
    const auto solution = place(profile, cluster, options);
    ASSERT_TRUE(solution) << strategy_name(strategy) << ": " << solution.error().message;
    EXPECT_TRUE(verify(solution->placement, profile, cluster, 0, {}, 0.0)) << strategy_name(strategy);
    EXPECT_NEAR(solution->certificate.value,
                communication_cost(sum_paths(profile.paths, solution->placement), cluster, {}), 1e-9);
    for (std::size_t layer = 0; layer < 4; ++layer) {
      EXPECT_LE(solution->certificate.load_bound[layer], solution->certificate.z_star[layer] + 1e-12);
    }
  }
}

TEST(Place, puts_experts_of_a_layer_without_load_in_order_or_leaves_them_where_they_run) {
  auto profile = testing::loads_profile({{8, 1, 2, 5, 3, 9}, {0, 0, 0, 0, 0, 0}, {1, 2, 7, 6, 4, 4}});
  for (const Strategy strategy : all_strategies()) {
    for (const std::size_t redundant : {0U, 2U}) {
      auto options = with_work(strategy, 20'000'000);
      options.problem.redundant = redundant;
      const auto solution = place(profile, {.gpus = 2, .nodes = 1}, options);
      if (!solution && solution.error().code == ErrorCode::kTimeLimit) continue;
      ASSERT_TRUE(solution) << strategy_name(strategy) << ": " << solution.error().message;
      const auto row = solution->placement.row(LayerId(1));
      for (std::size_t slot = 0; slot < row.size(); ++slot) EXPECT_EQ(row[slot], slot % 6) << strategy_name(strategy);
      auto running = solution->placement.fields();
      std::ranges::reverse(running.expert_of_slot[1]);
      options.problem.replan = Replan{*Placement::create(running), std::nullopt};
      const auto next = place(profile, {.gpus = 2, .nodes = 1}, options);
      ASSERT_TRUE(next) << strategy_name(strategy) << ": " << next.error().message;
      EXPECT_TRUE(std::ranges::equal(next->placement.row(LayerId(1)), running.expert_of_slot[1]))
          << strategy_name(strategy);
    }
  }
}

TEST(Place, keeps_more_traffic_than_lpt_with_every_layer_inside_its_cap) {
  const auto profile = testing::structured_profile({6, 32, 2, 4000}, 2);
  const Cluster cluster{.gpus = 4, .nodes = 1};
  auto options = with_work(Strategy::kMetisGlpk);
  options.problem.load_slack_ratio = 0.05;
  const auto solution = place(profile, cluster, options);
  const auto lpt = place(profile, cluster, with_work(Strategy::kLpt));
  ASSERT_TRUE(solution && lpt);
  EXPECT_LT(solution->certificate.value, 0.9 * lpt->certificate.value);
  const auto metrics = measure(profile, solution->placement, cluster, {}, Comm::kResident);
  for (std::size_t layer = 0; layer < 6; ++layer) {
    EXPECT_LE(metrics->imbalance_by_layer[layer], 1.05 * solution->certificate.z_star[layer] + 1e-9);
  }
}

TEST(Place, gives_the_same_placement_for_the_same_work_and_seed) {
  const auto profile = testing::structured_profile({5, 24, 3, 1500}, 3);
  const Cluster cluster{.gpus = 4, .nodes = 2};
  const auto first = place(profile, cluster, with_work(Strategy::kMetisGlpk));
  for (int run = 0; run < 3; ++run) {
    EXPECT_EQ(place(profile, cluster, with_work(Strategy::kMetisGlpk))->placement, first->placement);
  }
}

TEST(Place, without_any_budget_is_still_valid) {
  const auto profile = testing::structured_profile({4, 16, 2, 800}, 4);
  const Cluster cluster{.gpus = 4, .nodes = 1};
  for (const std::size_t redundant : {0U, 4U}) {
    auto options = with_work(Strategy::kEvenkeel, 0);
    options.problem.redundant = redundant;
    const auto solution = place(profile, cluster, options);
    ASSERT_TRUE(solution) << solution.error().message;
    EXPECT_TRUE(verify(solution->placement, profile, cluster, redundant, {}, 0.0));
  }
}

TEST(Place, balances_loads_alone_at_least_as_well_as_lpt_and_says_when_that_is_optimal) {
  std::vector<std::vector<std::uint64_t>> rows(3, std::vector<std::uint64_t>(32));
  Random random(9, 0);
  for (auto& row : rows) {
    for (auto& tokens : row) tokens = 1 + random.below(1000) * random.below(100);
  }
  const auto profile = testing::loads_profile(rows);
  const Cluster cluster{.gpus = 4, .nodes = 1};
  const auto ours = place(profile, cluster, with_work(Strategy::kEvenkeel));
  const auto lpt = place(profile, cluster, with_work(Strategy::kLpt));
  EXPECT_LT(ours->certificate.value, lpt->certificate.value);
  EXPECT_LT(*ours->certificate.gap, 2e-3);
  const auto equal = place(testing::loads_profile({{5, 5, 5, 5}}), cluster, with_work(Strategy::kEvenkeel));
  EXPECT_EQ(equal->status, SolveStatus::kOptimal);
}

TEST(Place, is_valid_for_any_small_shape_with_replicas) {
  int with_replicas = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed, 2);
    const std::size_t experts = 3 + random.below(14);
    Cluster cluster;
    cluster.nodes = 1 + random.below(3);
    cluster.gpus = cluster.nodes * (1 + random.below(4));
    const std::size_t slots = random.below(static_cast<std::uint32_t>(experts)) + 1;
    if (slots * cluster.gpus < experts) continue;
    auto options = with_work(Strategy::kMetisGlpk, 300'000);
    options.problem.redundant = slots * cluster.gpus - experts;
    with_replicas += options.problem.redundant > 0 ? 1 : 0;
    const auto profile = testing::structured_profile({3, experts, 2, 200}, seed);
    const auto solution = place(profile, cluster, options);
    ASSERT_TRUE(solution) << "seed " << seed << ": " << solution.error().message;
    EXPECT_TRUE(verify(solution->placement, profile, cluster, options.problem.redundant, {}, 0.0)) << "seed " << seed;
  }
  EXPECT_GT(with_replicas, 100);
}

TEST(Place, splits_over_more_replicas_than_load_units_divide) {
  auto options = with_work(Strategy::kEvenkeel);
  options.problem.redundant = 16;
  options.problem.load_slack_ratio = 0;
  const auto solution = place(testing::loads_profile({{20, 1, 1, 1}}), {.gpus = 20, .nodes = 1}, options);
  ASSERT_TRUE(solution) << solution.error().message;
  EXPECT_GE(*solution->certificate.gap, 0.0);
  EXPECT_GE(solution->certificate.value, *solution->certificate.bound - 1e-12);
}

TEST(Place, spreads_replicas_over_distinct_gpus) {
  std::vector<std::uint64_t> row(16, 100);
  row[3] = 800;
  row[7] = 400;
  const auto profile = testing::loads_profile({row});
  auto options = with_work(Strategy::kEvenkeel);
  options.problem.redundant = 8;
  const auto solution = place(profile, {.gpus = 8, .nodes = 1}, options);
  ASSERT_TRUE(solution);
  const auto metrics = measure(profile, solution->placement, {.gpus = 8, .nodes = 1}, {}, Comm::kResident);
  EXPECT_EQ(metrics->duplicate_slots, 0U);
  EXPECT_LT(metrics->imbalance_mean, 1.1);
}

TEST(Place, does_not_change_cost_when_gpus_are_renamed) {
  const auto profile = testing::structured_profile({4, 16, 2, 800}, 6);
  const Cluster cluster{.gpus = 4, .nodes = 1};
  const auto solution = place(profile, cluster, with_work(Strategy::kMetisGlpk));
  auto fields = solution->placement.fields();
  for (std::size_t layer = 0; layer < 4; ++layer) {
    auto row = fields.expert_of_slot[layer];
    std::rotate(row.begin(), row.begin() + 4, row.end());
  }
  const auto renamed = Placement::create(fields);
  const auto before = measure(profile, solution->placement, cluster, {}, Comm::kResident);
  const auto after = measure(profile, *renamed, cluster, {}, Comm::kResident);
  EXPECT_NEAR(*before->same_gpu_share, *after->same_gpu_share, 1e-12);
  EXPECT_DOUBLE_EQ(before->imbalance_mean, after->imbalance_mean);
}

TEST(Place, refuses_what_cannot_be) {
  const auto profile = testing::structured_profile({4, 16, 2, 100}, 1);
  EXPECT_EQ(place(profile, {.gpus = 5, .nodes = 1}, with_work(Strategy::kLpt)).error().code, ErrorCode::kInfeasible);
  EXPECT_EQ(place(profile, {.gpus = 4, .nodes = 3}, with_work(Strategy::kLpt)).error().code, ErrorCode::kInfeasible);
  auto options = with_work(Strategy::kEvenkeel);
  options.problem.redundant = 16 * 3 + 4;
  EXPECT_EQ(place(profile, {.gpus = 4, .nodes = 1}, options).error().code, ErrorCode::kInfeasible);
  EXPECT_EQ(place(testing::loads_profile({{20'000'000'000'000, 1}}), {.gpus = 2, .nodes = 1},
                  with_work(Strategy::kContiguous))
                .error()
                .code,
            ErrorCode::kInvalidInput);
  options.problem.redundant = 0;
  options.problem.load_slack_ratio = -0.1;
  EXPECT_EQ(place(profile, {.gpus = 4, .nodes = 1}, options).error().code, ErrorCode::kInvalidInput);
  options = with_work(Strategy::kEplb);
  options.problem.groups = 3;
  EXPECT_EQ(place(profile, {.gpus = 4, .nodes = 1}, options).error().code, ErrorCode::kInvalidInput);
}

TEST(Descent, brings_any_start_within_the_caps) {
  const auto profile = testing::structured_profile({6, 32, 2, 4000}, 8);
  const auto instance = make_instance(profile, {.gpus = 8, .nodes = 2}, 0);
  testing::WorkSlice work;
  Assignment balanced = lpt_assignment(*instance);
  balance_loads(*instance, std::vector<std::int64_t>(6, 0), work.slice, 1, 2, balanced);
  const auto caps = largest_loads(*instance, balanced);
  Assignment by_number(instance->layers(), instance->items());
  for (std::size_t layer = 0; layer < instance->layers(); ++layer) {
    for (std::size_t item = 0; item < instance->items(); ++item)
      by_number(layer, item) = static_cast<GpuIndex>(item / 4);
  }
  Arrangement arrangement(*instance, by_number);
  descend_to_goal(arrangement, {caps, 0.0}, balanced, work.slice);
  for (std::size_t layer = 0; layer < instance->layers(); ++layer) {
    EXPECT_LE(std::ranges::max(arrangement.gpu_load(layer)), caps[layer]) << "layer " << layer;
  }
}

}  // namespace
}  // namespace evenkeel::place_test
