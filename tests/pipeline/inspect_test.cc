#include <gtest/gtest.h>

#include <cmath>

#include "pipeline/inspect/inspection_json.h"
#include "pipeline/inspect/inspection_text.h"
#include "tests/pipeline/random_paths.h"

namespace evenkeel::inspect_test {
namespace {

using testing::random_trace;

Grid<std::uint64_t> row_of(const std::vector<std::uint64_t>& loads) {
  Grid<std::uint64_t> grid(1, loads.size());
  std::ranges::copy(loads, grid[0].begin());
  return grid;
}

Trace loads_trace(const std::vector<std::vector<std::uint64_t>>& windows) {
  Trace trace;
  trace.shape.layer_ids = {4};
  trace.shape.experts = windows.front().size();
  for (const auto& loads : windows) trace.load_windows.push_back({.load_tokens = row_of(loads)});
  return trace;
}

TEST(Skew, is_none_for_even_loads_and_full_for_one_expert) {
  const LoadSkew even = skew_of(row_of({5, 5, 5, 5})).front();
  EXPECT_DOUBLE_EQ(even.hottest_ratio, 1);
  EXPECT_DOUBLE_EQ(even.variation, 0);
  EXPECT_DOUBLE_EQ(even.top_tenth_share, 0.25);
  EXPECT_NEAR(even.gini, 0, 1e-12);
  EXPECT_DOUBLE_EQ(even.entropy, 1);
  const LoadSkew one = skew_of(row_of({0, 8, 0, 0})).front();
  EXPECT_DOUBLE_EQ(one.hottest_ratio, 4);
  EXPECT_DOUBLE_EQ(one.variation, std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(one.gini, 0.75);
  EXPECT_DOUBLE_EQ(one.entropy, 0);
  EXPECT_DOUBLE_EQ(one.cold_experts, 3);
}

TEST(Skew, gini_is_half_the_mean_difference_over_the_mean) {
  const std::vector<std::uint64_t> loads{3, 1, 4, 1, 5, 9, 2, 6};
  double difference = 0;
  double sum = 0;
  for (const auto a : loads) {
    sum += static_cast<double>(a);
    for (const auto b : loads) difference += std::abs(static_cast<double>(a) - static_cast<double>(b));
  }
  EXPECT_NEAR(skew_of(row_of(loads)).front().gini, difference / (2 * 8 * sum), 1e-12);
}

TEST(Drift, is_the_share_of_load_that_moves) {
  const Trace trace = loads_trace({{6, 2, 2}, {2, 2, 6}, {12, 4, 4}});
  const Drift drift = drift_of(trace, *windows_of(trace, 8), 1, 1);
  EXPECT_EQ(drift.parts.source, PartSource::kLoads);
  ASSERT_EQ(drift.steps.size(), 2U);
  EXPECT_DOUBLE_EQ(*drift.steps[0].variation_mean, 0.4);
  EXPECT_DOUBLE_EQ(*drift.steps[0].cosine_mean, 28.0 / 44.0);
  EXPECT_NEAR(*drift.first_to_last.variation_mean, 0, 1e-12);
  EXPECT_DOUBLE_EQ(*drift.first_to_last.cosine_mean, 1);
}

TEST(Drift, noise_is_what_independent_choices_give) {
  Random random(3, 0);
  std::vector<std::vector<std::uint64_t>> windows(2, std::vector<std::uint64_t>(8));
  double measured = 0;
  double expected = 0;
  for (int draw = 0; draw < 200; ++draw) {
    for (auto& window : windows) {
      std::ranges::fill(window, std::uint64_t{0});
      for (int token = 0; token < 400; ++token) ++window[std::min(random.below(8), random.below(8))];
    }
    const Trace trace = loads_trace(windows);
    const Drift drift = drift_of(trace, *windows_of(trace, 8), 1, 1);
    measured += *drift.first_to_last.variation_mean / 200;
    expected += *drift.first_to_last.noise_mean / 200;
  }
  EXPECT_NEAR(measured, expected, 0.05 * expected);
}

TEST(Drift, cuts_unmarked_sequences_in_file_order_and_finds_no_more_than_noise_there) {
  const Trace trace = random_trace({std::vector<std::size_t>(64, 40), {0, 1}, 8, 2, 0}, 5);
  const auto parts = windows_of(trace, 4);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->source, PartSource::kSequences);
  EXPECT_EQ(parts->part_of_sequence[15], 0U);
  EXPECT_EQ(parts->part_of_sequence[16], 1U);
  const Drift one = drift_of(trace, *parts, 1, 1);
  const Drift two = drift_of(trace, *parts, 1, 2);
  for (std::size_t step = 0; step < one.steps.size(); ++step) {
    EXPECT_DOUBLE_EQ(*one.steps[step].noise_mean, *two.steps[step].noise_mean);
    EXPECT_LT(*one.steps[step].variation_mean, 2 * *one.steps[step].noise_mean);
  }
  EXPECT_FALSE(windows_of(random_trace({{40}, {0}, 8, 2, 0}, 5), 4));
}

TEST(Drift, compares_stages_that_the_trace_names) {
  Trace trace = random_trace({{4, 4, 4}, {0}, 3, 1, 0}, 5);
  for (std::size_t token = 0; token < 12; ++token) trace.paths.experts[token] = token / 4 == 1 ? 2 : 0;
  EXPECT_FALSE(stages_of(trace));
  trace.stage_of_sequence = {Stage::kPrefill, Stage::kDecode, Stage::kPrefill};
  const auto stages = stages_of(trace);
  ASSERT_TRUE(stages);
  EXPECT_EQ(stages->names, (std::vector<std::string>{"decode", "prefill"}));
  EXPECT_DOUBLE_EQ(*drift_of(trace, *stages, 1, 1).first_to_last.variation_mean, 1);
}

TEST(Affinity, is_full_where_the_next_expert_follows_and_none_where_it_does_not) {
  Trace trace = random_trace({{5000}, {0, 1, 2}, 4, 1, 0}, 5);
  Random random(1, 1);
  for (std::size_t token = 0; token < 5000; ++token) {
    const std::uint32_t expert = random.below(4);
    const std::size_t at = 3 * token;
    trace.paths.experts[at] = static_cast<ExpertIndex>(expert);
    trace.paths.experts[at + 1] = static_cast<ExpertIndex>((expert + 1) % 4);
    trace.paths.experts[at + 2] = static_cast<ExpertIndex>(random.below(4));
  }
  const auto pairs = affinity_of(profile_of(trace), 1, 2);
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_NEAR(*pairs[0].information, 1, 1e-2);
  EXPECT_DOUBLE_EQ(*pairs[0].top_successor_ratio, 4);
  EXPECT_NEAR(*pairs[0].information_noise, 0, 2e-3);
  EXPECT_NEAR(*pairs[1].information, *pairs[1].information_noise, 2e-3);
  EXPECT_NEAR(*pairs[1].top_successor_ratio, 1, 0.15);
}

TEST(FanOut, counts_real_experts_pairs_and_partners) {
  Trace trace = random_trace({{4}, {0, 0}, 4, 2, 0}, 5);
  const std::vector<ExpertIndex> choices{0, 1, 0, 2, 0, 1, 3, kNoExpert, 2, 3, 2, 3, 0, kNoExpert, 1, 0};
  trace.paths.experts = choices;
  const FanOut fan_out = fan_out_of(profile_of(trace), 2);
  EXPECT_DOUBLE_EQ(fan_out.experts_per_token, (3 + 3 + 2 + 2) / 4.0);
  EXPECT_DOUBLE_EQ(fan_out.rounds[0].experts_per_token, 7 / 4.0);
  EXPECT_DOUBLE_EQ(*fan_out.rounds[0].pairs_share, 2 / 6.0);
  // Uses of experts 0 to 3: 3, 2, 1, 1 of 4 tokens; partners 0 and 1 meet twice, 2 and 3 once. Each term is
  // meetings x tokens / uses of the partner.
  EXPECT_DOUBLE_EQ(*fan_out.rounds[0].top_partner_lift, (2 * 4 / 2.0 + 2 * 4 / 3.0 + 4 + 4) / 7);
}

TEST(Inspection, says_why_figures_are_absent_for_loads_alone) {
  const Trace trace = loads_trace({{6, 2}});
  const auto inspection = inspect(trace, {});
  ASSERT_TRUE(inspection);
  EXPECT_EQ(inspection->notes.size(), 2U);
  const auto json = inspection_json({}, *inspection);
  EXPECT_EQ(json.at("schema"), "evenkeel.inspect/1");
  for (const char* const key : {"drift", "stage_drift", "affinity", "fan_out", "srp", "sch"}) {
    EXPECT_TRUE(json.at(key).is_null()) << key;
  }
  EXPECT_TRUE(json.at("skew").at("contiguous").is_null());
  const std::string text = inspection_text(*inspection, {});
  EXPECT_NE(text.find("loads only"), std::string::npos);
  EXPECT_EQ(text.find("SRP  "), std::string::npos);
}

TEST(Inspection, refuses_options_out_of_range_by_name) {
  const Trace trace = random_trace({}, 1);
  InspectOptions options;
  options.segments = {4, 5000};
  EXPECT_NE(inspect(trace, options).error().message.find("segments names 5000"), std::string::npos);
  options.segments = {4};
  options.cache_ratios = {0.5};
  EXPECT_NE(inspect(trace, options).error().message.find("cache_ratios names 0.5"), std::string::npos);
  options.cache_ratios = {1};
  options.gpus = 3;
  EXPECT_EQ(inspect(trace, options).error().code, ErrorCode::kInfeasible);
}

}  // namespace
}  // namespace evenkeel::inspect_test
