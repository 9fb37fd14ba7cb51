#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "partition/exact/exact_sweep.h"
#include "partition/place.h"
#include "partition/search/balance.h"
#include "partition/slots/rows.h"
#include "partition/strategies/stage.h"
#include "partition/strategies/table.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"
#include "tests/partition/validity.h"

namespace evenkeel::strategies_test {
namespace {

const Cluster kFour{.gpus = 4, .nodes = 1};

PlaceOptions options_of(const StrategyRow& row) {
  PlaceOptions options;
  options.strategy = row.strategy;
  options.effort.work_units = row.strategy == Strategy::kMoetuner ? 200'000'000 : 200'000;
  return options;
}

bool says(const Solution& solution, const std::string& words) {
  return std::ranges::any_of(solution.not_honoured,
                             [&](const std::string& note) { return note.find(words) != std::string::npos; });
}

TEST(StrategyTable, holds_every_strategy_once_by_a_name_of_its_own) {
  std::vector<std::string_view> names;
  for (const StrategyRow& row : strategy_table()) {
    EXPECT_EQ(&row_of(row.strategy), &row);
    names.push_back(row.name);
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  EXPECT_EQ(names.size(), all_strategies().size());
}

TEST(StrategyTable, says_where_a_budget_of_moves_is_not_kept_and_keeps_it_elsewhere) {
  const auto profile = testing::structured_profile({3, 16, 2, 600}, 1);
  for (const StrategyRow& row : strategy_table()) {
    SCOPED_TRACE(row.name);
    PlaceOptions options = options_of(row);
    options.problem.replan = Replan{*contiguous_placement({0, 1, 2}, 16, 0, 4, 1), 2};
    const auto solution = place(profile, kFour, options);
    ASSERT_TRUE(solution) << solution.error().message;
    EXPECT_EQ(says(*solution, "keeps no budget of moves"), !row.honours.moves);
    ASSERT_TRUE(solution->replan);
    EXPECT_EQ(solution->replan->moves_max.has_value(), row.honours.moves);
    EXPECT_TRUE(!row.honours.moves || solution->replan->moves <= 2U);
  }
}

TEST(StrategyTable, says_where_windows_are_added_up) {
  auto profile = testing::structured_profile({3, 16, 2, 600}, 1);
  profile.windows.push_back(profile.windows.front());
  for (const StrategyRow& row : strategy_table()) {
    SCOPED_TRACE(row.name);
    PlaceOptions options = options_of(row);
    options.problem.robust = Robust{};
    EXPECT_EQ(weighs_windows(options), row.honours.windows);
    const auto solution = place(profile, kFour, options);
    ASSERT_TRUE(solution) << solution.error().message;
    EXPECT_EQ(says(*solution, "adds windows up"), !row.honours.windows);
  }
}

TEST(StrategyTable, says_which_communication_is_not_searched) {
  const auto profile = testing::structured_profile({3, 16, 2, 600}, 1);
  for (const StrategyRow& row : strategy_table()) {
    SCOPED_TRACE(row.name);
    PlaceOptions options = options_of(row);
    const auto resident = place(profile, kFour, options);
    ASSERT_TRUE(resident) << resident.error().message;
    EXPECT_EQ(says(*resident, "loads alone"), row.honours.traffic == Traffic::kNone);
    options.problem.objective.comm = Comm::kDispatch;
    const auto dispatch = place(profile, kFour, options);
    ASSERT_TRUE(dispatch) << dispatch.error().message;
    EXPECT_EQ(dispatch->not_honoured.empty(), row.honours.traffic == Traffic::kResidentAndDispatch);
  }
}

TEST(StrategyTable, says_where_no_slots_are_searched_for_an_uneven_split) {
  const auto profile = testing::loads_profile({{90, 5, 4, 3, 2, 2, 1, 1}, {9, 8, 7, 6, 5, 4, 3, 2}});
  for (const StrategyRow& row : strategy_table()) {
    SCOPED_TRACE(row.name);
    PlaceOptions options = options_of(row);
    options.problem.redundant = 4;
    options.problem.split = ReplicaSplit::kUneven;
    const auto solution = place(profile, kFour, options);
    ASSERT_TRUE(solution) << solution.error().message;
    EXPECT_TRUE(solution->placement.fields().shares);
    EXPECT_EQ(says(*solution, "no slots for an uneven split"), !row.honours.split_search);
  }
}

TEST(StrategyTable, refuses_what_would_not_be_what_was_asked_for) {
  const auto profile = testing::structured_profile({3, 16, 2, 600}, 1);
  for (const StrategyRow& row : strategy_table()) {
    SCOPED_TRACE(row.name);
    PlaceOptions survive = options_of(row);
    survive.problem.survive = 1;
    survive.problem.redundant = 16;
    const auto twice = place(profile, kFour, survive);
    EXPECT_EQ(twice.has_value(), row.honours.survival);
    EXPECT_TRUE(twice || twice.error().code == ErrorCode::kInvalidInput);
    const auto uneven = place(profile, {.gpus = 4, .speeds = {1, 1, 1, 0.5}}, options_of(row));
    EXPECT_EQ(uneven.has_value(), row.honours.unequal_gpus);
    EXPECT_TRUE(uneven || uneven.error().code == ErrorCode::kInfeasible);
    PlaceOptions timed = options_of(row);
    timed.problem.time_model = StepTimeModel{};
    EXPECT_EQ(place(profile, kFour, timed).has_value(), row.honours.time_model);
  }
}

/// Every stage that takes an instance leaves a valid assignment, from any start, whoever composes it.
TEST(Stage, of_every_kind_works_on_an_instance_and_a_goal_alone) {
  for (const Comm comm : {Comm::kResident, Comm::kDispatch}) {
    const auto profile = testing::structured_profile({4, 16, 2, 800}, 1);
    const Instance instance = *make_instance(profile, {.gpus = 4, .nodes = 2}, 0, {comm, std::nullopt});
    const Assignment balanced = testing::balanced(instance);
    const LoadGoal goal{testing::with_slack(largest_loads(instance, balanced), 0.1)};
    const StageInput input{instance, goal, balanced, goal.threshold_units, 1, 1};
    for (const Start* start :
         {&kBalancedStart, &kTransportStart, &kMetisFoldedStart, &kMetisLayeredStart, &kMetisCoactivationStart}) {
      if (!start->takes(instance)) continue;
      EXPECT_TRUE(testing::is_valid(instance, start->initialise(input))) << start->name;
    }
    for (const Refiner* refiner : {&kDescent, &kNodeSearch, &kSearch, &kSearchDescent, &kShake, &kRelabel, &kGlpkLayers,
                                   &kGlpkPairs, &kDispatchDescent, &kDispatchSearch}) {
      if (!refiner->takes(instance)) continue;
      testing::WorkSlice work(300'000);
      const Refined refined = refiner->refine(input, balanced, work.slice);
      EXPECT_TRUE(testing::is_valid(instance, refined.assignment)) << refiner->name;
    }
  }
}

/// METIS, a descent and GLPK's blocks go on from a running placement and better it within its caps, as a re-plan would
/// use them.
TEST(Stage, of_metis_and_glpk_go_on_from_a_running_placement) {
  const auto profile = testing::structured_profile({4, 16, 2, 2000}, 5);
  const Placement running = *contiguous_placement({0, 1, 2, 3}, 16, 0, 4, 1);
  ProblemOptions options;
  options.replan = Replan{running, 10};
  options.load_slack_ratio = 0.3;
  const auto problem = Problem::create(profile, kFour, options);
  ASSERT_TRUE(problem && problem->is_bounded());
  const Instance instance = *problem->instance(1);
  const Assignment at_hand = to_assignment(instance, running);
  LoadGoal goal{largest_loads(instance, at_hand)};
  for (std::int64_t& units : goal.threshold_units) units = problem->cap_units(units);
  const StageInput input{instance, goal, at_hand, goal.threshold_units, 1, 1};
  testing::WorkSlice descent;
  const Refined from_metis = kDescent.refine(input, kMetisLayeredStart.initialise(input), descent.slice);
  ASSERT_TRUE(is_within_caps(instance, goal, from_metis.assignment));
  EXPECT_LT(communication(instance, from_metis.assignment), communication(instance, at_hand));
  testing::WorkSlice blocks;
  const Refined solved = kGlpkLayers.refine(input, at_hand, blocks.slice);
  ASSERT_TRUE(is_within_caps(instance, goal, solved.assignment));
  ASSERT_TRUE(solved.blocks);
  EXPECT_GT(solved.blocks->solves, 0U);
  EXPECT_LT(communication(instance, solved.assignment), communication(instance, at_hand));
}

}  // namespace
}  // namespace evenkeel::strategies_test
