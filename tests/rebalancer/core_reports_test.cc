#include <gtest/gtest.h>

#include <cmath>

#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer::core_reports_test {
namespace {

using CoreReports = CoreTest;

std::vector<std::uint64_t> totals(const Core& core) {
  const auto first_layer = core.registry().load_tokens()[0];
  return {first_layer.begin(), first_layer.end()};
}

const wire::Refusal* refusal(const Actions& actions, const std::string& worker) {
  return sent_to<wire::Refusal>(actions, worker);
}

TEST_F(CoreReports, places_contiguously_at_the_first_hello_and_journals_it) {
  const Actions actions = hello("a");
  ASSERT_TRUE(sent_to<wire::Snapshot>(actions, "a"));
  EXPECT_EQ(sent_to<wire::Snapshot>(actions, "a")->stamp, (wire::Stamp{1, 0}));
  ASSERT_EQ(journal_.size(), 2U);
  EXPECT_EQ(journal_[1].kind, RecordKind::kCommit);
}

TEST_F(CoreReports, come_to_the_same_totals_repeated_reordered_and_with_gaps) {
  join_both();
  static_cast<void>(report("a", 1, {1, 0, 0, 0}));
  static_cast<void>(report("a", 4, {9, 5, 0, 0}));
  static_cast<void>(report("a", 2, {3, 0, 0, 0}));
  static_cast<void>(report("a", 4, {9, 5, 0, 0}));
  static_cast<void>(report("b", 1, {0, 0, 2, 2}));
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{9, 5, 2, 2}));
  EXPECT_EQ(core_.registry().tokens(), 18U);
  EXPECT_EQ(core_.counters().reports_stale, 2U);
}

TEST_F(CoreReports, of_an_observer_are_counted_and_nobody_waits_for_it) {
  wire::Hello observer = hello_of(0);
  observer.world = 0;
  EXPECT_TRUE(sent_to<wire::Snapshot>(receive("o", observer), "o"));
  EXPECT_TRUE(sent_to<wire::ReportAck>(receive("o", report_of(1, {60, 60, 0, 0})), "o"));
  const Actions prepared = prepare_better();
  ASSERT_TRUE(first<Broadcast>(prepared));
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{160, 160, 20, 20}));
  static_cast<void>(both_ready());
  EXPECT_EQ(core_.counters().epochs_committed, 1U);
  static_cast<void>(both_applied());
  EXPECT_EQ(core_.phase(), "idle");
  EXPECT_TRUE(sent_to<wire::Refusal>(receive("p", hello_of(0)), "p")) << "the rank is still a's";
}

TEST_F(CoreReports, of_an_observer_and_a_worker_of_one_name_are_refused) {
  join_both();
  wire::Hello observer = hello_of(0, 2);
  observer.world = 0;
  ASSERT_TRUE(refusal(receive("a", observer), "a"));
  EXPECT_EQ(refusal(receive("a", observer), "a")->reason, wire::RefusalReason::kConflict);
}

TEST_F(CoreReports, are_acknowledged_even_when_they_are_old) {
  join_both();
  static_cast<void>(report("a", 2, {3, 0, 0, 0}));
  ASSERT_TRUE(sent_to<wire::ReportAck>(report("a", 1, {1, 0, 0, 0}), "a"));
}

TEST_F(CoreReports, that_count_less_than_before_are_refused_and_change_nothing) {
  join_both();
  static_cast<void>(report("a", 1, {9, 5, 0, 0}));
  const auto actions = report("a", 2, {10, 4, 9, 9});
  ASSERT_TRUE(refusal(actions, "a"));
  EXPECT_EQ(refusal(actions, "a")->reason, wire::RefusalReason::kShrinkingCounts);
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{9, 5, 0, 0}));
  EXPECT_EQ(core_.counters().reports_refused, 1U);
}

TEST_F(CoreReports, tell_what_was_lost_beside_the_workers_also_when_an_agent_begins_anew) {
  join_both();
  const auto lost_after = [&](const char* worker, std::uint64_t sequence, std::uint64_t paths, std::uint64_t sends) {
    wire::Report report = report_of(sequence, {sequence, 0, 0, 0});
    report.losses[wire::Loss::kPathsDropped] = paths;
    report.losses[wire::Loss::kSendsDropped] = sends;
    static_cast<void>(receive(worker, std::move(report)));
    wire::Losses sum = core_.counters().agent_losses;
    return std::pair(sum[wire::Loss::kPathsDropped], sum[wire::Loss::kSendsDropped]);
  };
  EXPECT_EQ(lost_after("a", 1, 5, 2), (std::pair<std::uint64_t, std::uint64_t>(5, 2)));
  EXPECT_EQ(lost_after("a", 1, 9, 9), (std::pair<std::uint64_t, std::uint64_t>(5, 2))) << "an old report";
  EXPECT_EQ(lost_after("b", 1, 1, 0), (std::pair<std::uint64_t, std::uint64_t>(6, 2)));
  EXPECT_EQ(lost_after("a", 2, 7, 1), (std::pair<std::uint64_t, std::uint64_t>(8, 3))) << "another agent's sends";
}

TEST_F(CoreReports, of_token_paths_are_counted_and_their_gaps) {
  join_both();
  const auto missed_after = [&](std::uint64_t sequence) {
    static_cast<void>(
        receive("a", wire::Paths{1, sequence, Stage::kMixed, 0, 1, 1, Grid<ExpertIndex>(1, 2, ExpertIndex{0})}));
    return core_.counters().paths_missed;
  };
  EXPECT_EQ(missed_after(4), 0U) << "what was before this process began is nobody's loss";
  EXPECT_EQ(missed_after(5), 0U);
  EXPECT_EQ(missed_after(8), 2U);
  EXPECT_EQ(missed_after(7), 2U);
  EXPECT_EQ(missed_after(9), 2U);
  EXPECT_EQ(core_.counters().paths_received, 5U);
}

TEST_F(CoreReports, of_another_shape_are_refused) {
  join_both();
  const auto actions = report("a", 1, {1, 2, 3});
  ASSERT_TRUE(refusal(actions, "a"));
  EXPECT_EQ(refusal(actions, "a")->reason, wire::RefusalReason::kShapeMismatch);
}

TEST_F(CoreReports, beyond_what_a_worker_can_count_are_refused_counted_and_no_reason_for_a_plan) {
  join_both();
  static_cast<void>(report("a", 1, {60, 40, 10, 10}));
  now_ += milliseconds(1'000);
  const auto too_fast = report("a", 2, {std::uint64_t{1} << 40, 40, 10, 10});
  ASSERT_TRUE(refusal(too_fast, "a"));
  EXPECT_EQ(refusal(too_fast, "a")->reason, wire::RefusalReason::kImplausibleCounts);
  EXPECT_EQ(core_.counters().reports_implausible, 1U);
  EXPECT_EQ(totals(core_), (std::vector<std::uint64_t>{60, 40, 10, 10}));
  auto per_step = report_of(1, {std::uint64_t{1} << 24, 0, 0, 0});
  per_step.steps = 1;
  EXPECT_TRUE(refusal(receive("b", per_step), "b")) << "more than a step has";
  auto per_token = report_of(1, {100, 0, 0, 0});
  per_token.stages.front().tokens = 1;
  EXPECT_TRUE(refusal(receive("b", per_token), "b")) << "more choices than a token has";
  EXPECT_FALSE(first<StartPlanning>(tick(milliseconds(10'000))));
}

TEST_F(CoreReports, that_say_what_no_token_can_choose_or_no_step_can_hold_are_refused) {
  join_both();
  const auto is_refused = [&](wire::Report report) { return refusal(receive("a", std::move(report)), "a") != nullptr; };
  auto too_many = report_of(1, {1, 1, 1, 1});
  too_many.stages.front() = {Stage::kMixed, 1, Grid<std::uint64_t>(2, 4, 16)};
  EXPECT_FALSE(is_refused(too_many)) << "64 choices, over 16 rounds";
  auto later = report_of(2, {17, 16, 16, 16});
  later.stages.front().tokens = 1;
  EXPECT_TRUE(is_refused(later)) << "a choice of no token, though the tokens before could have made it";
  auto stepless = report_of(2, {1 << 20, 16, 16, 16});
  stepless.steps = 4;
  EXPECT_TRUE(is_refused(stepless));
  EXPECT_EQ(core_.counters().reports_implausible, 2U);

  wire::Hello observer = hello_of(0);
  observer.world = 0;
  static_cast<void>(receive("o", observer));
  stepless.sequence = 1;
  EXPECT_TRUE(sent_to<wire::ReportAck>(receive("o", stepless), "o")) << "an observer has no steps";
  auto hour = report_of(2, {1 << 30, 1 << 30, 1 << 30, 1 << 30});
  EXPECT_TRUE(sent_to<wire::ReportAck>(receive("o", hour), "o")) << "a recording may be of any length of time";
}

TEST_F(CoreReports, of_more_choices_than_the_wire_allows_a_token_are_refused) {
  constexpr std::size_t kExperts = 65;
  const std::vector<int> layer_ids{0};
  CoreOptions o = options();
  o.cluster.gpus = 5;
  journal_.clear();
  restart_with(o);
  static_cast<void>(
      receive("a", wire::Hello{1, wire::model_hash(layer_ids, kExperts), 0, 2, layer_ids, kExperts, 0, std::nullopt}));
  wire::Report report{1, 1, 0, 0, 1, {{Stage::kMixed, 1, Grid<std::uint64_t>(1, kExperts, 1)}}};
  EXPECT_TRUE(refusal(receive("a", report), "a"));
  report.stages.front().load_tokens(0, 0) = 0;
  EXPECT_TRUE(sent_to<wire::ReportAck>(receive("a", report), "a"));
}

TEST_F(CoreReports, of_a_distrusted_agent_are_left_out_of_windows_until_it_starts_anew) {
  join_both();
  static_cast<void>(report("a", 1, {9, 5, 0, 0}));
  static_cast<void>(report("a", 2, {8, 5, 0, 0}));
  const Actions actions = report("b", 1, {60, 40, 10, 10});
  const auto* job = first<StartPlanning>(actions);
  ASSERT_TRUE(job) << "nobody waits for the one that lies";
  const auto loads = job->request.profile.windows.front().load_tokens[0];
  // Mean 30, squares of 1,800 in each of two layers, of which chance explains 30 x 3 times 1 + 2 sqrt(2 / 6).
  const double kept = 1 - 90 * (1 + 2 * std::sqrt(1.0 / 3)) / 1'800;
  EXPECT_NEAR(static_cast<double>(loads[0]) / static_cast<double>(loads[2]), (30 + 30 * kept) / (30 - 20 * kept), 1e-5)
      << "as b alone counts";
  static_cast<void>(hello("a", 2));
  EXPECT_FALSE(core_.registry().agents().at("a").is_distrusted);
}

TEST_F(CoreReports, of_a_new_incarnation_add_to_those_of_the_old) {
  join_both();
  static_cast<void>(report("a", 5, {9, 0, 0, 0}));
  static_cast<void>(hello("a", 2));
  static_cast<void>(report("a", 1, {4, 0, 0, 0}, 2));
  EXPECT_EQ(totals(core_).front(), 13U);
}

TEST_F(CoreReports, of_an_older_incarnation_are_fenced_off) {
  join_both();
  static_cast<void>(hello("a", 2));
  const auto actions = report("a", 9, {50, 0, 0, 0}, 1);
  ASSERT_TRUE(refusal(actions, "a"));
  EXPECT_EQ(refusal(actions, "a")->reason, wire::RefusalReason::kStaleIncarnation);
  const auto again = hello("a", 1);
  ASSERT_TRUE(refusal(again, "a"));
  EXPECT_EQ(refusal(again, "a")->reason, wire::RefusalReason::kStaleIncarnation);
  EXPECT_EQ(totals(core_).front(), 0U);
}

TEST_F(CoreReports, over_a_connection_that_said_no_hello_are_refused) {
  join_both();
  const wire::Report report{1, 1, 0, 0, 9, {{Stage::kMixed, 9, Grid<std::uint64_t>(2, 4, 9)}}};
  const auto actions = step(Received{"stranger", "a", "model", report});
  ASSERT_TRUE(refusal(actions, "stranger"));
  EXPECT_EQ(refusal(actions, "stranger")->reason, wire::RefusalReason::kUnknownAgent);
  EXPECT_EQ(core_.registry().tokens(), 0U);
}

TEST_F(CoreReports, refuses_a_hello_of_another_model_world_rank_or_shape) {
  join_both();
  const wire::Hello good = hello_of(0);
  const auto with = [&](auto change) {
    wire::Hello hello = good;
    change(hello);
    return hello;
  };
  const auto why = [&](const std::string& worker, const std::string& model, wire::Hello hello) {
    const auto actions = step(Received{"peer", worker, model, std::move(hello)});
    const auto* refused = refusal(actions, "peer");
    return refused ? std::string(wire::reason_name(refused->reason)) : "";
  };
  EXPECT_EQ(why("a", "other", good), "shape_mismatch");
  EXPECT_EQ(why("a", "model", with([](auto& h) { h.world = 3; })), "shape_mismatch");
  EXPECT_EQ(why("a", "model", with([](auto& h) { h.experts = 5; })), "shape_mismatch");
  EXPECT_EQ(why("a", "model", with([](auto& h) { h.model_hash = 5; })), "shape_mismatch");
  EXPECT_EQ(why("c", "model", good), "conflict");
  EXPECT_EQ(why("rebalancer", "model", good), "conflict");
  EXPECT_EQ(why("a", "model", with([](auto& h) { h.term_seen = 9; })), "stale_stamp");
  EXPECT_EQ(why("a", "model", with([](auto& h) { h.epoch_applied = 3; })), "stale_stamp");
  EXPECT_EQ(why("a", "model", good), "");
}

TEST_F(CoreReports, passes_the_rank_of_a_silent_worker_to_another) {
  join_both();
  now_ += milliseconds(60'001);
  const auto actions = receive("c", hello_of(0));
  EXPECT_TRUE(sent_to<wire::Snapshot>(actions, "c"));
  EXPECT_EQ(core_.registry().agents().count("a"), 0U);
}

TEST_F(CoreReports, refuses_a_journal_for_another_cluster) {
  join_both();
  CoreOptions other = options();
  other.cluster.gpus = 4;
  auto recovery = recover(2, journal_);
  ASSERT_TRUE(recovery);
  const auto core = Core::create(other, 2, recovery->groups["model"]);
  ASSERT_FALSE(core);
  EXPECT_NE(core.error().message.find("2 GPUs"), std::string::npos);
}

}  // namespace
}  // namespace evenkeel::rebalancer::core_reports_test
