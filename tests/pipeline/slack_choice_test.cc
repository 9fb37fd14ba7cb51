#include "pipeline/slack/slack_choice.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "tests/pipeline/random_paths.h"

namespace evenkeel::slack_choice_test {
namespace {

using testing::random_trace;

constexpr std::uint64_t kWork = 8000;

std::vector<std::size_t> all_parts(const Trace& trace) {
  std::vector<std::size_t> parts(trace.parts());
  std::iota(parts.begin(), parts.end(), std::size_t{0});
  return parts;
}

PlaceOptions by_work() {
  PlaceOptions options;
  options.effort.work_units = kWork;
  return options;
}

Result<SlackChoice> choose(const Trace& trace, const Cluster& cluster, const PlaceOptions& options = by_work(),
                           std::optional<std::size_t> windows = std::nullopt, const StepTimeModel& model = {}) {
  const auto parts = all_parts(trace);
  return choose_slack({trace, parts, windows}, cluster, options, model, {});
}

/// Sequences of 100 tokens over two layers of four experts, all alike: experts 0 and 2 send their 26 tokens each to one
/// another, 1 and 3 their 24. Together on a GPU they cross to no other, at a load of 52 where 50 is the best.
Trace two_pairs(std::size_t sequences) {
  constexpr std::array<std::array<ExpertIndex, 2>, 8> kPaths{
      {{0, 0}, {0, 2}, {2, 0}, {2, 2}, {1, 1}, {1, 3}, {3, 1}, {3, 3}}};
  Trace trace;
  trace.shape = {{0, 1}, 4, std::nullopt};
  trace.paths = {1, {0, 1}, {}, {0}};
  for (std::size_t sequence = 0; sequence < sequences; ++sequence) {
    for (std::size_t path = 0; path < kPaths.size(); ++path) {
      for (std::size_t token = 0; token < (path < 4 ? 13U : 12U); ++token)
        trace.paths.experts.insert(trace.paths.experts.end(), kPaths[path].begin(), kPaths[path].end());
    }
    trace.paths.sequence_start.push_back(trace.paths.tokens());
  }
  return trace;
}

Cluster two_gpus(double bandwidth_gb_per_s) {
  Cluster cluster;
  cluster.gpus = 2;
  cluster.intra_node = {bandwidth_gb_per_s, std::chrono::microseconds(0)};
  return cluster;
}

TEST(SlackChoice, takes_the_slack_that_spares_traffic_where_the_network_is_slow) {
  const auto choice = choose(two_pairs(8), two_gpus(0.01));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->options.problem.load_slack_ratio, 0.05);
}

TEST(SlackChoice, takes_no_slack_where_the_network_is_free) {
  const auto choice = choose(two_pairs(8), two_gpus(1e6));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->options.problem.load_slack_ratio, 0.0);
}

TEST(SlackChoice, takes_the_smaller_of_slacks_that_are_alike) {
  Cluster one_gpu;
  const auto choice = choose(random_trace({std::vector<std::size_t>(8, 20)}, 1), one_gpu);
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->options.problem.load_slack_ratio, 0.0);
  EXPECT_EQ(choice->windows, 1U);
}

TEST(SlackChoice, leaves_half_of_the_work_and_all_else_of_the_options) {
  PlaceOptions options = by_work();
  options.effort.seed = 9;
  options.problem.objective.comm = Comm::kDispatch;
  const auto choice = choose(two_pairs(8), two_gpus(450), options);
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->options.effort.work_units, kWork / 2);
  EXPECT_EQ(choice->options.effort.seed, 9U);
  EXPECT_EQ(choice->options.problem.objective.comm, Comm::kDispatch);
  EXPECT_TRUE(choice->options.diagnostics.has_bound);
}

TEST(SlackChoice, leaves_time_for_the_placement_itself) {
  PlaceOptions options;
  options.effort.time = std::chrono::milliseconds(40);
  const auto choice = choose(two_pairs(8), two_gpus(450), options);
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_GE(choice->options.effort.time, 0.3 * options.effort.time);
  EXPECT_LE(choice->options.effort.time, options.effort.time);
  EXPECT_GT(choice->seconds, 0.0);
}

TEST(SlackChoice, keeps_the_windows_that_are_given) {
  PlaceOptions options = by_work();
  options.problem.robust = Robust{};
  const auto choice = choose(two_pairs(8), two_gpus(450), options, 3);
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->windows, 3U);
  EXPECT_NE(choice->note().find("over 3 windows"), std::string::npos) << choice->note();
}

TEST(SlackChoice, is_equal_for_equal_work_on_one_and_two_threads) {
  const Trace trace = random_trace({std::vector<std::size_t>(24, 30), {0, 1, 2}, 16, 2}, 5);
  PlaceOptions options = by_work();
  options.problem.robust = Robust{};
  const auto first = choose(trace, two_gpus(1), options);
  ASSERT_TRUE(first) << first.error().message;
  for (const std::size_t threads : {1U, 2U}) {
    options.effort.threads = threads;
    const auto again = choose(trace, two_gpus(1), options);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->options.problem.load_slack_ratio, first->options.problem.load_slack_ratio);
    EXPECT_EQ(again->windows, first->windows);
    EXPECT_EQ(again->options.effort.work_units, first->options.effort.work_units);
  }
}

TEST(SlackChoice, looks_only_at_the_parts_that_are_given) {
  // The other sequences send every token to another expert.
  Trace trace = two_pairs(8);
  const auto parts = all_parts(trace);
  const Trace other = random_trace({std::vector<std::size_t>(8, 100), {0, 1}, 4, 1, 0}, 3);
  trace.paths.experts.insert(trace.paths.experts.end(), other.paths.experts.begin(), other.paths.experts.end());
  for (std::size_t sequence = 1; sequence <= 8; ++sequence)
    trace.paths.sequence_start.push_back(800 + other.paths.sequence_start[sequence]);
  const auto choice = choose_slack({trace, parts, std::nullopt}, two_gpus(0.01), by_work(), {}, {});
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->options.problem.load_slack_ratio, 0.05);
}

TEST(SlackChoice, refuses_loads_alone) {
  Trace loads;
  loads.shape = {{0, 1}, 4, std::nullopt};
  loads.load_windows.assign(4, {.load_tokens = Grid<std::uint64_t>(2, 4, 1)});
  const auto choice = choose(loads, two_gpus(450));
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(choice.error().message.find("no token paths"), std::string::npos) << choice.error().message;
  EXPECT_EQ(choice.error().fields, std::vector<std::string>{"slack"});
}

TEST(SlackChoice, refuses_a_single_sequence) {
  const auto choice = choose(two_pairs(1), two_gpus(450));
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(choice.error().message.find("there is one"), std::string::npos) << choice.error().message;
}

TEST(SlackChoice, hands_on_what_no_placement_can_do) {
  Cluster three = two_gpus(450);
  three.gpus = 3;
  const auto choice = choose(two_pairs(8), three);
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::kInfeasible);
}

}  // namespace
}  // namespace evenkeel::slack_choice_test
