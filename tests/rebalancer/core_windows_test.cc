// When windows close, what is decided about them, and who hears of it.
#include <gtest/gtest.h>

#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer::core_windows_test {
namespace {

class CoreWindows : public CoreTest {
 protected:
  /// A report of a worker that has completed `window` windows.
  Actions tagged(const std::string& worker, std::uint64_t sequence, std::uint64_t window,
                 const std::vector<std::uint64_t>& counts, std::uint64_t incarnation = 1) {
    return receive(worker, report_of(sequence, counts, incarnation, window));
  }
  /// Shares of the expected load of a plan's first layer, in percent; what chance explains of so few counts is out of
  /// them.
  static std::vector<int> expected(const Actions& actions) {
    const auto* job = first<StartPlanning>(actions);
    EXPECT_TRUE(job);
    if (!job) return {};
    const auto loads = job->request.profile.total_load();
    double sum = 0;
    for (const auto load : loads[0]) sum += static_cast<double>(load);
    std::vector<int> shares;
    for (const auto load : loads[0]) shares.push_back(static_cast<int>(100 * static_cast<double>(load) / sum + 0.5));
    return shares;
  }
};

TEST_F(CoreWindows, end_after_their_steps_with_the_exact_sum_of_all_reports) {
  EXPECT_EQ(expected(start_plan()), (std::vector<int>{41, 41, 9, 9}));
}

TEST_F(CoreWindows, wait_for_every_agent_its_steps_and_enough_tokens) {
  static_cast<void>(hello("a"));
  static_cast<void>(applied("a"));
  static_cast<void>(report("a", 1, {1000, 0, 0, 0}));
  EXPECT_FALSE(first<StartPlanning>(tick(milliseconds(5'000))));
  static_cast<void>(hello("b"));
  static_cast<void>(applied("b"));
  EXPECT_FALSE(first<StartPlanning>(report("b", 1, {99, 0, 0, 0}))) << "99 of 100 steps";
  EXPECT_TRUE(first<StartPlanning>(report("b", 2, {100, 0, 0, 0})));
  EXPECT_FALSE(first<StartPlanning>(tick(milliseconds(5'000)))) << "one plan at a time";
  static_cast<void>(step(PlanReady{"model", 1, core_.running()->placement, 0}));
  EXPECT_FALSE(first<StartPlanning>(tick(milliseconds(5'000)))) << "no new steps";
  static_cast<void>(report("a", 2, {1000, 0, 0, 100}));
  EXPECT_EQ(expected(report("b", 3, {100, 0, 0, 100})).front(), 0)
      << "the last window alone: it is unlike the one before";
}

TEST_F(CoreWindows, are_kept_without_a_plan_before_the_interval_is_over) {
  static_cast<void>(start_plan());
  static_cast<void>(step(PlanReady{"model", 1, core_.running()->placement, 0}));
  static_cast<void>(report("a", 2, {160, 140, 10, 10}));
  const Actions soon = report("b", 2, {140, 160, 10, 10});
  EXPECT_FALSE(first<StartPlanning>(soon));
  EXPECT_EQ(text_of(soon, "plan_decided", "reason"), "the last plan is less than 1000 ms ago");
  EXPECT_TRUE(first<WriteDecision>(soon));
  EXPECT_EQ(core_.counters().decisions_keep, 2U);
}

TEST_F(CoreWindows, are_kept_until_every_worker_has_switched) {
  static_cast<void>(hello("a"));
  static_cast<void>(applied("a"));
  static_cast<void>(hello("b"));
  static_cast<void>(report("a", 1, {60, 40, 10, 10}));
  const Actions kept = report("b", 1, {40, 60, 10, 10});
  EXPECT_EQ(text_of(kept, "plan_decided", "reason"), "a worker has not switched to the running epoch yet");
}

TEST_F(CoreWindows, end_where_the_workers_say_so_and_waiting_workers_hear_when_they_are_decided) {
  join_both();
  static_cast<void>(tagged("a", 1, 1, {60, 40, 10, 10}));
  const Actions planned = tagged("b", 1, 1, {40, 60, 10, 10});
  ASSERT_TRUE(first<StartPlanning>(planned));
  ASSERT_TRUE(sent_to<wire::ReportAck>(planned, "b"));
  EXPECT_EQ(sent_to<wire::ReportAck>(planned, "b")->window_decided, 0U);
  const Actions prepared = step(PlanReady{"model", 1, better(), 0});
  EXPECT_FALSE(sent_to<wire::ReportAck>(prepared, "a")) << "adopted, but not eligible yet";
  const Actions committed = both_ready();
  for (const std::string worker : {"a", "b"}) {
    ASSERT_TRUE(sent_to<wire::ReportAck>(committed, worker));
    EXPECT_EQ(sent_to<wire::ReportAck>(committed, worker)->window_decided, 1U);
  }
}

TEST_F(CoreWindows, hold_what_was_counted_in_them_even_if_a_worker_is_ahead) {
  CoreOptions o = options();
  o.interval_min = milliseconds(0);
  restart_with(o);
  join_both();
  static_cast<void>(tagged("a", 1, 1, {100, 0, 0, 0}));
  static_cast<void>(tagged("a", 2, 2, {100, 0, 0, 900}));
  EXPECT_EQ(expected(tagged("b", 1, 1, {0, 100, 0, 0})), (std::vector<int>{49, 49, 1, 1}));
}

TEST_F(CoreWindows, before_a_restart_are_nobodys_and_their_counts_are_in_no_window) {
  join_both();
  restart();
  join_both();
  static_cast<void>(tagged("a", 9, 5, {100'000, 0, 0, 0}));
  const Actions resumed = tagged("b", 9, 5, {100'000, 0, 0, 0});
  EXPECT_FALSE(first<StartPlanning>(resumed));
  EXPECT_EQ(sent_to<wire::ReportAck>(resumed, "b")->window_decided, 5U);
  EXPECT_EQ(core_.registry().tokens(), 200'000U) << "totals have them";
  static_cast<void>(tagged("a", 10, 6, {100'100, 0, 0, 0}));
  EXPECT_EQ(expected(tagged("b", 10, 6, {100'000, 100, 0, 0})), (std::vector<int>{49, 49, 1, 1}));
}

TEST_F(CoreWindows, go_on_where_workers_begin_their_traffic_anew) {
  join_both();
  static_cast<void>(tagged("a", 1, 5, {100, 0, 0, 0}));
  static_cast<void>(tagged("b", 1, 5, {100, 0, 0, 0}));
  ASSERT_EQ(core_.windows_decided(), 5U);
  for (const std::string worker : {"a", "b"}) {
    static_cast<void>(hello(worker, 2));
    static_cast<void>(applied(worker, 2));
    const Actions begun = tagged(worker, 1, 0, {100, 0, 0, 0}, 2);
    EXPECT_EQ(sent_to<wire::ReportAck>(begun, worker)->window_decided, 0U) << "of its own windows";
  }
  static_cast<void>(tagged("a", 2, 1, {200, 0, 0, 0}, 2));
  ASSERT_TRUE(first<StartPlanning>(tagged("b", 2, 1, {200, 0, 0, 0}, 2)));
  const Actions closed = step(PlanReady{"model", 1, core_.running()->placement, 0});
  EXPECT_EQ(core_.windows_decided(), 6U);
  EXPECT_EQ(sent_to<wire::ReportAck>(closed, "a")->window_decided, 1U);
}

TEST_F(CoreWindows, of_which_a_worker_says_more_than_it_has_steps_are_refused) {
  join_both();
  EXPECT_TRUE(sent_to<wire::ReportAck>(tagged("a", 1, 3, {1, 1, 0, 0}), "a"));
  EXPECT_TRUE(sent_to<wire::Refusal>(tagged("a", 2, 6, {1, 1, 1, 0}), "a"));
  EXPECT_EQ(core_.counters().reports_implausible, 1U);
  static_cast<void>(report("b", 1, {50, 50, 0, 0}));
  static_cast<void>(report("b", 2, {150, 50, 0, 0}));
  EXPECT_EQ(core_.counters().windows_closed, 1U) << "nobody goes by a liar's windows";
}

TEST_F(CoreWindows, that_are_very_many_at_once_are_not_closed_one_by_one) {
  join_both();
  for (const std::string worker : {"a", "b"}) {
    auto far = report_of(1, {100, 0, 0, 0}, 1, std::uint64_t{1} << 40);
    far.steps = std::uint64_t{1} << 41;
    static_cast<void>(receive(worker, far));
  }
  EXPECT_LT(core_.counters().windows_closed, 2'000U);
}

TEST_F(CoreWindows, of_a_worker_that_takes_over_a_rank_begin_with_no_steps) {
  static_cast<void>(start_plan());
  static_cast<void>(step(PlanReady{"model", 1, core_.running()->placement, 0}));
  now_ += milliseconds(60'001);
  static_cast<void>(receive("c", hello_of(0)));
  static_cast<void>(applied("c"));
  static_cast<void>(report("b", 2, {400, 60, 10, 10}));
  EXPECT_EQ(core_.counters().windows_closed, 1U);
  static_cast<void>(report("c", 1, {40, 0, 0, 0}));
  static_cast<void>(report("b", 3, {800, 60, 10, 10}));
  static_cast<void>(report("c", 2, {139, 0, 0, 0}));
  EXPECT_EQ(core_.counters().windows_closed, 1U) << "99 of 100 steps since its first report";
  static_cast<void>(report("c", 3, {140, 0, 0, 0}));
  EXPECT_EQ(core_.counters().windows_closed, 2U);
}

TEST_F(CoreWindows, that_are_triggered_wait_until_nothing_holds_and_all_have_reported) {
  static_cast<void>(start_plan());
  static_cast<void>(step(PlanReady{"model", 1, core_.running()->placement, 0}));
  static_cast<void>(step(Control{Control::Command::kTrigger, "by hand"}));
  static_cast<void>(step(Control{Control::Command::kFreeze, "a release"}));
  for (std::uint64_t i = 2; i < 10; ++i) {
    now_ += milliseconds(10);
    static_cast<void>(report("a", i, {60, 40 + i, 10, 10}));
    static_cast<void>(report("b", i, {40, 60 + i, 10, 10}));
  }
  EXPECT_EQ(core_.counters().windows_closed, 1U);
  static_cast<void>(step(Control{Control::Command::kUnfreeze, ""}));
  EXPECT_TRUE(first<StartPlanning>(tick(milliseconds(0))));
  static_cast<void>(step(PlanReady{"model", 2, core_.running()->placement, 0}));
  static_cast<void>(step(Control{Control::Command::kTrigger, "again"}));
  now_ += milliseconds(10);
  EXPECT_FALSE(first<StartPlanning>(report("a", 10, {61, 60, 10, 10}))) << "one worker's counts";
  EXPECT_TRUE(first<StartPlanning>(report("b", 10, {41, 80, 10, 10})));
}

TEST_F(CoreWindows, that_are_triggered_keep_to_the_most_migrations) {
  CoreOptions o = options();
  o.migrations_max = 0;
  restart_with(o);
  static_cast<void>(step(Control{Control::Command::kTrigger, "by hand"}));
  EXPECT_FALSE(first<StartPlanning>(start_plan()));
  EXPECT_EQ(core_.decided()->reason, "0 of at most 0 migrations are made");
}

TEST_F(CoreWindows, of_several_stages_are_expected_apart) {
  join_both();
  auto a = report_of(1, {60, 40, 10, 10});
  a.stages.push_back(report_of(1, {0, 0, 40, 40}).stages.front());
  a.stages.back().stage = Stage::kDecode;
  static_cast<void>(receive("a", a));
  const Actions actions = report("b", 1, {40, 60, 10, 10});
  const auto* job = first<StartPlanning>(actions);
  ASSERT_TRUE(job);
  ASSERT_EQ(job->request.profile.windows.size(), 2U);
  EXPECT_EQ(job->request.profile.windows[0].stage, Stage::kDecode);
  const auto& decode = job->request.profile.windows[0].load_tokens;
  EXPECT_LT(decode(0, 0), decode(0, 2) / 20);
  EXPECT_EQ(job->request.profile.windows[1].stage, Stage::kMixed);
}

TEST_F(CoreWindows, are_kept_where_nothing_moves_and_where_the_solver_fails) {
  static_cast<void>(start_plan());
  const Actions same = step(PlanReady{"model", 1, core_.running()->placement, 0.1});
  EXPECT_EQ(text_of(same, "plan_decided", "verdict"), "keep");
  EXPECT_FALSE(first<Write>(same));
  restart();
  join_both();
  static_cast<void>(report("a", 1, {0, 0, 0, 0}));
  static_cast<void>(report("b", 1, {0, 0, 0, 0}));
  static_cast<void>(report("a", 2, {60, 40, 10, 10}));
  static_cast<void>(report("b", 2, {40, 60, 10, 10}));
  const Actions failed = step(PlanReady{"model", 1, tl::unexpected(Error{ErrorCode::kFailure, "no memory"}), 0});
  EXPECT_EQ(text_of(failed, "plan_decided", "reason"), "the solver failed: no memory");
  EXPECT_EQ(core_.counters().plans_failed, 1U);
  EXPECT_FALSE(first<Write>(failed));
}

TEST_F(CoreWindows, ignore_the_answer_to_a_plan_nobody_asked_for) {
  static_cast<void>(start_plan());
  EXPECT_TRUE(step(PlanReady{"model", 77, better(), 0}).empty());
}

TEST_F(CoreWindows, tell_what_a_decision_gains_costs_and_could_gain_at_most) {
  static_cast<void>(start_plan());
  const Actions adopted = step(PlanReady{"model", 1, better(), 0.1});
  const auto* written = first<WriteDecision>(adopted);
  ASSERT_TRUE(written);
  const DecisionRecord& decision = written->record.decision;
  EXPECT_TRUE(decision.is_adopt);
  EXPECT_NEAR(decision.imbalance, 200.0 / 120, 1e-9);
  EXPECT_GT(*decision.gain_seconds, 0);
  EXPECT_GT(*decision.cost_seconds, 0);
  EXPECT_GE(*decision.bound_seconds, *decision.gain_seconds * (1 - 1e-9)) << "better() is perfect";
  EXPECT_EQ(decision.moves, 4U);
  EXPECT_EQ(written->record.model, "model");
}

/// Eight workers, of which the last may tell something else than the others.
class CoreWindowsOfEight : public CoreWindows {
 protected:
  CoreWindowsOfEight() {
    CoreOptions o = options();
    o.agents_expected = 8;
    restart_with(o);
    for (std::uint32_t rank = 0; rank < 8; ++rank) {
      wire::Hello hello = hello_of(rank);
      hello.world = 8;
      static_cast<void>(receive(name(rank), hello));
      static_cast<void>(applied(name(rank)));
    }
  }
  static std::string name(std::uint32_t rank) { return "w" + std::to_string(rank); }
  /// What is decided about a window in which better() is offered.
  Actions decided(const std::vector<std::uint64_t>& most, const wire::Report& last) {
    for (std::uint32_t rank = 0; rank < 7; ++rank) static_cast<void>(report(name(rank), 1, most));
    const Actions actions = receive(name(7), last);
    const auto* job = first<StartPlanning>(actions);
    EXPECT_TRUE(job);
    return step(PlanReady{"model", job ? job->plan : 0, better(), 0.1});
  }
};

TEST_F(CoreWindowsOfEight, are_kept_where_one_worker_alone_says_that_a_plan_gains) {
  auto lie = report_of(1, {1'600, 1'600, 0, 0});
  lie.stages.front().tokens = 100;
  const Actions actions = decided({25, 25, 25, 25}, lie);
  EXPECT_EQ(text_of(actions, "plan_decided", "verdict"), "keep");
  EXPECT_EQ(text_of(actions, "plan_decided", "reason"),
            "most of what it gains in this window is by the counts of w7 alone");
}

TEST_F(CoreWindowsOfEight, are_planned_for_where_the_others_say_so_too) {
  EXPECT_EQ(text_of(decided({40, 40, 10, 10}, report_of(1, {100, 0, 0, 0})), "plan_decided", "verdict"), "adopt");
}

TEST_F(CoreWindows, start_from_known_loads_and_the_placement_made_for_them) {
  CoreOptions o = options();
  o.policy.warmup_windows = 100;
  o.first_placement = better();
  o.known_loads = {{Stage::kMixed, 100, Grid<std::uint64_t>(2, 4, 10)}};
  journal_.clear();
  restart_with(o);
  const Actions greeted = hello("a");
  ASSERT_TRUE(sent_to<wire::Snapshot>(greeted, "a"));
  EXPECT_EQ(sent_to<wire::Snapshot>(greeted, "a")->placement, better());
  join_both();
  static_cast<void>(report("a", 1, {100, 0, 100, 0}));
  const Actions closed = report("b", 1, {100, 0, 100, 0});
  EXPECT_TRUE(first<StartPlanning>(closed)) << "no warm-up: " << core_.decided().value_or(DecisionRecord{}).reason;
}

TEST_F(CoreWindows, take_nothing_from_known_loads_of_another_model) {
  join_both();
  CoreOptions o = options();
  o.policy.warmup_windows = 1;
  o.first_placement = better();
  o.known_loads = {{Stage::kMixed, 100, Grid<std::uint64_t>(3, 8, 10)}};
  restart_with(o);
  join_both();
  for (std::uint64_t i = 1; i < 4; ++i) {
    static_cast<void>(report("a", i, {100 * i, 0, 0, 0}));
    static_cast<void>(report("b", i, {100 * i, 0, 0, 0}));
  }
  EXPECT_EQ(core_.counters().windows_closed, 2U);
}

}  // namespace
}  // namespace evenkeel::rebalancer::core_windows_test
