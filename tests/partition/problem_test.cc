#include "partition/problem/problem.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "partition/problem/run.h"
#include "tests/partition/fixtures.h"

namespace evenkeel::problem_test {
namespace {

const Cluster kFour{.gpus = 4, .nodes = 1};

ProblemOptions with_slack(double ratio) {
  ProblemOptions options;
  options.load_slack_ratio = ratio;
  return options;
}

Placement contiguous(const RoutingProfile& profile, const Cluster& cluster) {
  return *contiguous_placement(profile.shape.layer_ids, profile.shape.experts, 0, cluster.gpus, cluster.nodes);
}

TEST(Problem, has_slack_only_where_there_is_communication_to_trade_load_for) {
  const auto paths = testing::structured_profile({2, 8, 2, 100}, 1);
  const auto loads = testing::loads_profile({{5, 4, 3, 2}});
  EXPECT_EQ(Problem::create(paths, kFour, with_slack(0.5))->slack_ratio(), 0.5);
  EXPECT_EQ(Problem::create(paths, kFour, with_slack(0.5))->cap_units(1001), 1501);
  EXPECT_EQ(Problem::create(loads, kFour, with_slack(0.5))->slack_ratio(), 0.0);
  EXPECT_EQ(Problem::create(loads, kFour, with_slack(0.5))->cap_units(1001), 1001);
  EXPECT_EQ(Problem::create(paths, kFour, with_slack(0.5))->cap_peak(1.2), 1.2 * 1.5);
}

TEST(Problem, has_no_caps_under_weights_or_where_copies_had_to_go_to_other_nodes) {
  const auto profile = testing::structured_profile({2, 8, 2, 100}, 1);
  EXPECT_TRUE(Problem::create(profile, kFour, {})->has_caps());
  ProblemOptions weighted;
  weighted.objective.weighted = CommWeights{0.25, 1.0};
  EXPECT_FALSE(Problem::create(profile, kFour, weighted)->has_caps());
  ProblemOptions survive;
  survive.survive = 1;
  survive.redundant = 8;
  EXPECT_TRUE(Problem::create(profile, kFour, survive)->has_caps());
  EXPECT_FALSE(Problem::create(profile, {.gpus = 4, .nodes = 2}, survive)->has_caps());
}

TEST(Problem, is_unequal_by_speeds_slots_a_time_model_and_other_slots_than_those_that_run) {
  const auto profile = testing::structured_profile({2, 8, 2, 100}, 1);
  const auto is_unequal = [&](const Cluster& cluster, const ProblemOptions& options) {
    const auto problem = Problem::create(profile, cluster, options);
    return problem && problem->is_unequal();
  };
  ProblemOptions timed;
  timed.time_model = StepTimeModel{};
  ProblemOptions more;
  more.redundant = 4;
  more.replan = Replan{contiguous(profile, kFour), std::nullopt};
  EXPECT_FALSE(is_unequal(kFour, {}));
  EXPECT_TRUE(is_unequal({.gpus = 4, .speeds = {1, 1, 1, 0.5}}, {}));
  EXPECT_TRUE(is_unequal({.gpus = 4, .slots = {3, 2, 2, 1}}, {}));
  EXPECT_TRUE(is_unequal(kFour, timed));
  EXPECT_TRUE(is_unequal({.gpus = 4, .slots = {3, 3, 3, 3}}, more));
  EXPECT_EQ(Problem::create(profile, kFour, timed)->cluster().slots, (std::vector<std::uint32_t>{2, 2, 2, 2}));
}

TEST(Problem, is_bounded_by_a_budget_that_can_be_exceeded) {
  const auto profile = testing::structured_profile({2, 8, 2, 100}, 1);
  const auto with_budget = [&](std::optional<std::size_t> moves) {
    ProblemOptions options;
    options.replan = Replan{contiguous(profile, kFour), moves};
    return *Problem::create(profile, kFour, options);
  };
  EXPECT_FALSE(with_budget(std::nullopt).is_bounded());
  EXPECT_TRUE(with_budget(15).is_bounded());
  EXPECT_FALSE(with_budget(16).is_bounded());
  EXPECT_EQ(with_budget(15).moves_max(), 15U);
}

TEST(Problem, weighs_windows_unless_something_else_is_asked_that_adds_them_up) {
  auto profile = testing::structured_profile({2, 8, 2, 100}, 1);
  ProblemOptions options;
  options.robust = Robust{};
  EXPECT_FALSE(Problem::create(profile, kFour, options)->weighs_windows());
  profile.windows.push_back(profile.windows.front());
  EXPECT_TRUE(Problem::create(profile, kFour, options)->weighs_windows());
  EXPECT_TRUE(Problem::create(profile, kFour, options)->instance(1)->has_windows());
  options.replan = Replan{contiguous(profile, kFour), 3};
  EXPECT_FALSE(Problem::create(profile, kFour, options)->weighs_windows());
  EXPECT_FALSE(Problem::create(profile, kFour, options)->instance(1)->has_windows());
}

TEST(Problem, names_what_is_out_of_range) {
  const auto profile = testing::structured_profile({2, 8, 2, 100}, 1);
  const auto refused = Problem::create(profile, kFour, with_slack(1.5));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(refused.error().message, "slack is 1.5; give 0 to 1 (0.02 is 2 %)");
}

TEST(Run, logs_stages_as_they_begin_and_end) {
  std::vector<std::string> told;
  Effort effort;
  effort.work_units = 10;
  evenkeel::Run run(effort, {}, [&](std::string_view stage) { told.emplace_back(stage); });
  run.begin_budget();
  EXPECT_EQ(run.budget().remaining_units(), 10U);
  run.begin_stage("first", 3.0);
  run.end_stage(2.0);
  run.begin_stage("in vain", 2.0);
  run.drop_stage();
  const auto stages = run.take_stages();
  ASSERT_EQ(stages.size(), 1U);
  EXPECT_EQ(stages[0].name, "first");
  EXPECT_EQ(stages[0].value_before, 3.0);
  EXPECT_EQ(stages[0].value_after, 2.0);
  EXPECT_GE(stages[0].seconds, 0.0);
  EXPECT_EQ(told, (std::vector<std::string>{"first", "in vain"}));
}

TEST(Run, refuses_an_effort_that_is_out_of_range) {
  EXPECT_TRUE(validate(Effort{}));
  Effort late;
  late.time = std::chrono::duration<double>(-1);
  EXPECT_EQ(validate(late).error().message, "time is -1 s; give 0 or more, at most 1000 h");
  Effort wide;
  wide.threads = 3;
  EXPECT_EQ(validate(wide).error().message, "threads is 3; give 1 or 2");
}

}  // namespace
}  // namespace evenkeel::problem_test
