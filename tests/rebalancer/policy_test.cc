#include "partition/adaptive/policy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rebalancer/core/window_counts.h"

namespace evenkeel::rebalancer::policy_test {
namespace {

using Counts = std::vector<std::uint64_t>;

Grid<std::uint64_t> table(const Counts& counts) {
  Grid<std::uint64_t> load(1, counts.size());
  std::ranges::copy(counts, load.cells().begin());
  return load;
}

std::vector<StageLoad> window_of(const Counts& counts, Stage stage = Stage::kMixed) {
  std::uint64_t tokens = 0;
  for (const std::uint64_t count : counts) tokens += count;
  return {{stage, tokens, table(counts)}};
}

/// A layer of four experts on two GPUs.
Placement map_of(const std::vector<ExpertIndex>& experts) {
  Grid<ExpertIndex> map(1, experts.size());
  std::ranges::copy(experts, map.cells().begin());
  return *Placement::create({.layer_ids = {0},
                             .experts = 4,
                             .nodes = 1,
                             .slots_of_gpu = {2, 2},
                             .expert_of_slot = map,
                             .shares = std::nullopt});
}

const Placement kContiguous = map_of({0, 1, 2, 3});
const Placement kBetter = map_of({0, 2, 1, 3});
/// Many enough that chance does not show in figures.
const Counts kHot{1000'000'000, 1000'000'000, 200'000'000, 200'000'000};
const Counts kTurned{1000'000'000, 200'000'000, 1000'000'000, 200'000'000};

PolicyOptions options() {
  PolicyOptions o;
  o.cluster.gpus = 2;
  o.warmup_windows = 0;
  return o;
}

TEST(LoadForecast, remembers_long_where_windows_are_noisy_and_forgets_soon_where_traffic_drifts) {
  LoadForecast noisy;
  for (int i = 0; i < 20; ++i) noisy.take(table(i % 2 == 0 ? Counts{60, 40} : Counts{40, 60}));
  EXPECT_GE(noisy.half_life_windows(), 4);
  LoadForecast drifting;
  for (std::uint64_t i = 0; i < 20; ++i) drifting.take(table({100 + 100 * i, 2100 - 100 * i}));
  EXPECT_EQ(drifting.half_life_windows(), 0);
}

TEST(LoadForecast, drops_what_it_knew_after_a_sudden_change) {
  LoadForecast forecast;
  for (int i = 0; i < 8; ++i) forecast.take(table(i % 2 == 0 ? Counts{900, 50, 50} : Counts{880, 70, 50}));
  EXPECT_FALSE(forecast.is_sudden());
  forecast.take(table({50, 50, 900}));
  EXPECT_TRUE(forecast.is_sudden());
  EXPECT_NEAR(forecast.drift(), 0.85, 0.03);
  const auto expected = forecast.load_tokens(1000);
  EXPECT_NEAR(static_cast<double>(expected(0, 2)), 900, 10);
  EXPECT_EQ(expected(0, 0), expected(0, 1));
}

TEST(LoadForecast, takes_the_second_window_alone_where_it_is_unlike_the_first_by_more_than_chance) {
  LoadForecast moved;
  moved.take(table({9000, 500, 500}));
  moved.take(table({500, 500, 9000}));
  EXPECT_EQ(moved.half_life_windows(), 0);
  LoadForecast noisy;
  noisy.take(table({60, 40}));
  noisy.take(table({50, 50}));
  EXPECT_EQ(noisy.half_life_windows(), 8);
}

TEST(LoadForecast, keeps_what_it_knows_of_a_layer_without_traffic) {
  LoadForecast forecast;
  forecast.take(table({30'000'000, 10'000'000}));
  forecast.take(table({0, 0}));
  EXPECT_EQ(forecast.load_tokens(40), table({30, 10}));
  EXPECT_EQ(forecast.drift(), 0);
}

TEST(LoadForecast, takes_what_chance_explains_for_even) {
  LoadForecast forecast;
  // Mean 100, so chance alone gives a variance of 100 with 3 degrees of freedom; seen is (4 + 4 + 16 + 16) / 3.
  forecast.take(table({98, 102, 104, 96}));
  EXPECT_EQ(forecast.load_tokens(400), table({100, 100, 100, 100}));
}

TEST(LoadForecast, draws_skewed_counts_to_their_mean_by_the_share_of_chance) {
  LoadForecast forecast;
  // Mean 100, squares of 12,800; chance gives 100 x 3, and 1 + 2 sqrt(2 / 3) times that is allowed for.
  forecast.take(table({180, 20, 100, 100}));
  const double kept = 1 - 300 * (1 + 2 * std::sqrt(2.0 / 3)) / 12'800;
  const auto million = forecast.load_tokens(4e6);
  EXPECT_NEAR(static_cast<double>(million(0, 0)), 1e6 + kept * 0.8e6, 1);
  EXPECT_NEAR(static_cast<double>(million(0, 1)), 1e6 - kept * 0.8e6, 1);
  EXPECT_EQ(million(0, 2), 1'000'000U);
}

TEST(Policy, adopts_what_pays_and_says_what_it_gains_costs_and_could_gain) {
  Policy policy(options());
  const auto request = policy.close(window_of(kHot), kContiguous);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->options.problem.replan->moves_max, 1U) << "a quarter of four slots";
  const auto plan = policy.judge(kContiguous, kBetter);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->moves, 2U);
  const DecisionRecord& record = policy.record();
  EXPECT_TRUE(record.is_adopt);
  // 8,192 tokens of one expert each: 0.09 us x 8192 x (2000 - 1200) / 2400 a step.
  EXPECT_NEAR(*record.gain_seconds, 1000 * 0.09e-6 * 8192 / 3, 1e-6);
  EXPECT_NEAR(*record.cost_seconds, 44e6 / 450e9 + 3e-6, 1e-9);
  EXPECT_NEAR(*record.bound_seconds, *record.gain_seconds, 1e-6);
  EXPECT_NEAR(record.imbalance, 2000.0 / 1200, 1e-9);
}

TEST(Policy, keeps_what_does_not_pay_within_its_window) {
  PolicyOptions o = options();
  o.window_steps = 0.1;
  Policy policy(o);
  ASSERT_TRUE(policy.close(window_of(kHot), kContiguous));
  EXPECT_FALSE(policy.judge(kContiguous, kBetter));
  EXPECT_NE(policy.record().reason.find("not more than"), std::string::npos) << policy.record().reason;
}

TEST(Policy, asks_for_no_plan_where_no_placement_saves_enough) {
  Policy policy(options());
  EXPECT_FALSE(policy.close(window_of(kTurned), kContiguous));
  EXPECT_NE(policy.record().reason.find("no placement saves more than"), std::string::npos);
  EXPECT_EQ(*policy.record().bound_seconds, 0);
  policy.trigger();
  EXPECT_TRUE(policy.close(window_of(kTurned), kContiguous)) << "but where somebody wants one";
}

TEST(Policy, leaves_out_warm_up_windows_and_those_without_traffic) {
  PolicyOptions o = options();
  o.warmup_windows = 1;
  Policy policy(o);
  EXPECT_FALSE(policy.close(window_of({5, 5, 2000, 2000}), kContiguous));
  EXPECT_EQ(policy.record().reason, "warming up: window 1 of 1");
  EXPECT_FALSE(policy.close(window_of({0, 0, 0, 0}), kContiguous));
  EXPECT_EQ(policy.record().reason, "no traffic in this window");
  const auto request = policy.close(window_of(kHot), kContiguous);
  ASSERT_TRUE(request);
  const auto loads = request->profile.windows.front().load_tokens;
  EXPECT_NEAR(static_cast<double>(loads(0, 0)) / static_cast<double>(loads(0, 2)), 5, 1e-5) << "without the warm-up";
}

TEST(Policy, waits_the_least_interval_and_lets_a_migration_pay_over_all_of_it) {
  PolicyOptions o = options();
  o.interval_windows = 3;
  Policy policy(o);
  ASSERT_TRUE(policy.close(window_of(kHot), kContiguous));
  ASSERT_TRUE(policy.judge(kContiguous, kBetter));
  EXPECT_NEAR(*policy.record().gain_seconds, 3 * 1000 * 0.09e-6 * 8192 / 3, 1e-6);
  EXPECT_FALSE(policy.close(window_of(kTurned), kBetter));
  EXPECT_EQ(policy.record().reason, "1 of at least 3 windows since the last migration");
  EXPECT_FALSE(policy.close(window_of(kTurned), kBetter));
  EXPECT_TRUE(policy.close(window_of(kTurned), kBetter));
}

TEST(Policy, trusts_plans_less_when_windows_do_not_bear_out_what_they_promised) {
  Policy policy(options());
  ASSERT_TRUE(policy.close(window_of(kHot), kContiguous));
  ASSERT_TRUE(policy.judge(kContiguous, kBetter));
  static_cast<void>(policy.close(window_of(kTurned), kBetter));
  EXPECT_EQ(policy.record().trust, 0) << "what was to be better is worse";
  EXPECT_FALSE(policy.judge(kBetter, kContiguous));
  static_cast<void>(policy.close(window_of(kTurned), kBetter));
  EXPECT_GT(policy.record().trust, 0) << "a plan that was not adopted would have kept its promise";
}

TEST(Policy, fits_the_windows_of_late_at_once_where_all_may_move_and_they_differ) {
  for (const double ratio : {1.0, 0.25}) {
    PolicyOptions o = options();
    o.moves_ratio_max = ratio;
    o.gain_min_ratio = 0;
    Policy policy(o);
    static_cast<void>(policy.close(window_of(kHot), kContiguous));
    const auto request = policy.close(window_of(kTurned), kContiguous);
    ASSERT_TRUE(request);
    const bool is_hedged = ratio == 1.0;
    EXPECT_EQ(request->profile.windows.size(), is_hedged ? 2U : 1U);
    EXPECT_EQ(request->options.problem.robust.has_value(), is_hedged);
    EXPECT_EQ(request->options.problem.replan->moves_max.has_value(), !is_hedged);
  }
  // Alike but for chance, they are one.
  PolicyOptions o = options();
  o.moves_ratio_max = 1;
  Policy policy(o);
  static_cast<void>(policy.close(window_of(kHot), kContiguous));
  EXPECT_EQ(policy.close(window_of(kHot), kContiguous)->profile.windows.size(), 1U);
}

TEST(Policy, weighs_stages_by_their_tokens) {
  Policy policy(options());
  auto window = window_of(kHot, Stage::kDecode);
  window.push_back(window_of({3'000'000, 3'000'000, 1000'000'000, 1000'000'000}, Stage::kPrefill).front());
  const auto request = policy.close(window, kContiguous);
  ASSERT_TRUE(request);
  ASSERT_EQ(request->profile.windows.size(), 2U);
  EXPECT_EQ(request->profile.windows[0].stage, Stage::kDecode);
  ASSERT_TRUE(policy.judge(kContiguous, kBetter)) << "each stage gains, though their sum is even already";
}

TEST(WindowCounts, counts_no_worker_for_more_than_four_times_the_median) {
  std::vector<std::vector<StageLoad>> workers{window_of({10, 10}), window_of({12, 8}), window_of({0, 100'000})};
  limit_workers(workers);
  const auto sum = sum_of_workers(workers);
  ASSERT_EQ(sum.size(), 1U);
  EXPECT_EQ(sum.front().load_tokens, table({22, 18 + 80}));
  workers.pop_back();
  workers.back() = window_of({0, 100'000});
  limit_workers(workers);
  EXPECT_EQ(sum_of_workers(workers).front().tokens, 100'020U) << "two do not outvote one another";
}

TEST(WindowCounts, counts_no_worker_for_more_than_four_times_the_median_choices_of_a_layer) {
  const StageLoad honest{Stage::kMixed, 20, Grid<std::uint64_t>(2, 2, 10)};
  std::vector<std::vector<StageLoad>> workers(3, {honest});
  workers.back().front().load_tokens(0, 1) = 320;
  limit_workers(workers);
  const StageLoad& limited = workers.back().front();
  EXPECT_EQ(limited.tokens, 20U);
  EXPECT_EQ(limited.load_tokens(0, 1), 78U) << "of 330, 80 are left";
  EXPECT_EQ(limited.load_tokens(1, 1), 10U) << "the other layer is as it was";
  EXPECT_EQ(workers.front().front().load_tokens, honest.load_tokens);
}

}  // namespace
}  // namespace evenkeel::rebalancer::policy_test
