// When windows close, when a plan is asked for, and what becomes of it.
#include "rebalancer/core/windows.h"

#include "tests/rebalancer/core_parts_fixture.h"

namespace evenkeel::rebalancer::windows_test {
namespace {

using Counts = std::vector<std::uint64_t>;

WindowOptions window_options() {
  WindowOptions o;
  o.tokens_min = 100;
  o.window_steps = 100;
  o.interval_min = milliseconds(1'000);
  o.policy.warmup_windows = 0;
  o.policy.cluster.gpus = 2;
  return o;
}

/// A window ends after 100 steps of a token.
class WindowsTest : public CorePartsTest {
 protected:
  explicit WindowsTest(std::uint32_t world = 2) : CorePartsTest(world) { join_all(); }

  Surroundings around(bool is_held = false) { return {registry_, running_, 1, is_held, now_}; }
  Actions close(bool is_held = false) {
    windows_.close_complete(around(is_held), out_);
    return out_.take();
  }
  Actions report(std::uint32_t rank, std::uint64_t sequence, const Counts& counts, std::uint64_t window = 0) {
    return report(rank, report_of(sequence, counts, 1, window));
  }
  Actions report(std::uint32_t rank, const wire::Report& report) {
    EXPECT_EQ(registry_.take(agent(rank), report, windows_.first_open(), now_), Intake::kAccepted);
    return close();
  }
  /// Counts on which the contiguous map is bad and better() is perfect.
  Actions start_plan() {
    static_cast<void>(report(0, 1, {60, 40, 10, 10}));
    return report(1, 1, {40, 60, 10, 10});
  }
  std::optional<AdoptedPlan> judge(Result<Placement> placement, bool is_held = false) {
    return windows_.judge({"model", windows_.counters().windows_closed, std::move(placement), 0.1}, around(is_held),
                          out_);
  }
  [[nodiscard]] std::string reason() const { return windows_.decided() ? windows_.decided()->reason : ""; }

  Committed running_{0, contiguous()};
  Windows windows_{window_options(), false};
};

TEST_F(WindowsTest, close_once_the_slowest_worker_has_its_steps_and_ask_for_a_plan) {
  EXPECT_TRUE(report(0, 1, {600, 400, 0, 0}).empty()) << "the other has not reported";
  EXPECT_TRUE(report(1, 1, {59, 40, 0, 0}).empty()) << "99 of 100 steps";
  const Actions closed = report(1, 2, {60, 40, 0, 0});
  const auto* job = first<StartPlanning>(closed);
  ASSERT_TRUE(job);
  EXPECT_TRUE(windows_.awaits(job->plan));
  EXPECT_FALSE(windows_.awaits(job->plan + 1));
  ASSERT_TRUE(job->request.options.problem.replan);
  EXPECT_EQ(job->request.options.problem.replan->running, contiguous());
  EXPECT_EQ(windows_.first_open(), 1U);
}

TEST_F(WindowsTest, stay_open_while_a_plan_is_made_and_while_it_is_carried_out) {
  ASSERT_TRUE(first<StartPlanning>(start_plan()));
  now_ += milliseconds(5'000);
  static_cast<void>(report(0, 2, {160, 140, 10, 10}));
  EXPECT_TRUE(report(1, 2, {140, 160, 10, 10}).empty());
  ASSERT_TRUE(judge(better()));
  EXPECT_FALSE(windows_.is_planning());
  static_cast<void>(out_.take());
  EXPECT_TRUE(close().empty()) << "it is being carried out";
  EXPECT_EQ(windows_.decided_windows(), 0U);
  windows_.finish(registry_, {1, 0}, out_);
  EXPECT_EQ(windows_.decided_windows(), 1U);
  EXPECT_TRUE(first<StartPlanning>(close()));
}

TEST_F(WindowsTest, hand_an_adopted_plan_on_with_the_counts_it_was_decided_on) {
  static_cast<void>(start_plan());
  const TimePoint closed_at = now_;
  now_ += milliseconds(7);
  const auto adopted = judge(better());
  ASSERT_TRUE(adopted);
  EXPECT_EQ(adopted->placements.back(), better());
  EXPECT_EQ(adopted->load_tokens(0, 0), 100U);
  EXPECT_EQ(adopted->load_tokens(1, 3), 20U);
  EXPECT_EQ(adopted->window_closed_at, closed_at);
  const Actions told = out_.take();
  EXPECT_EQ(text_of(told, "plan_decided", "verdict"), "adopt");
  ASSERT_TRUE(first<WriteDecision>(told));
  EXPECT_TRUE(first<WriteDecision>(told)->record.decision.is_adopt);
  EXPECT_EQ(windows_.counters().decisions_adopt, 1U);
}

TEST_F(WindowsTest, hold_a_plan_back_for_whatever_speaks_against_it_now) {
  static_cast<void>(report(0, 1, {60, 40, 10, 10}));
  EXPECT_EQ(registry_.take(agent(1), report_of(1, {40, 60, 10, 10}), 0, now_), Intake::kAccepted);
  EXPECT_FALSE(first<StartPlanning>(close(true)));
  EXPECT_EQ(reason(), "frozen by the operator");

  agent(1).epoch_applied.reset();
  static_cast<void>(report(0, 2, {160, 140, 10, 10}));
  static_cast<void>(report(1, 2, {140, 160, 10, 10}));
  EXPECT_EQ(reason(), "a worker has not switched to the running epoch yet");

  now_ += milliseconds(60'001);
  agent(0).heard_at = now_;
  static_cast<void>(report(0, 3, {260, 240, 10, 10}));
  static_cast<void>(report(1, 3, {240, 260, 10, 10}));
  EXPECT_EQ(reason(), "an agent is absent");
  EXPECT_EQ(windows_.counters().decisions_keep, 3U);
  EXPECT_EQ(windows_.decided_windows(), 3U) << "a window that is kept is decided";
}

TEST_F(WindowsTest, leave_an_interval_and_new_tokens_between_two_plans) {
  static_cast<void>(start_plan());
  EXPECT_FALSE(judge(contiguous()));
  static_cast<void>(report(0, 2, {160, 140, 10, 10}));
  static_cast<void>(report(1, 2, {140, 160, 10, 10}));
  EXPECT_EQ(reason(), "the last plan is less than 1000 ms ago");

  WindowOptions more = window_options();
  more.tokens_min = 1'000;
  windows_.reconfigure(more);
  now_ += milliseconds(1'000);
  windows_.trigger();
  static_cast<void>(report(0, 3, {161, 140, 10, 10}));
  EXPECT_TRUE(first<StartPlanning>(report(1, 3, {141, 160, 10, 10}))) << "triggered: neither steps nor tokens matter";
}

TEST_F(WindowsTest, plan_no_more_once_the_most_migrations_are_made) {
  WindowOptions once = window_options();
  once.migrations_max = 1;
  windows_.reconfigure(once);
  static_cast<void>(start_plan());
  ASSERT_TRUE(judge(better()));
  windows_.finish(registry_, {1, 0}, out_);
  now_ += milliseconds(5'000);
  static_cast<void>(report(0, 2, {160, 140, 10, 10}));
  static_cast<void>(report(1, 2, {140, 160, 10, 10}));
  EXPECT_EQ(reason(), "1 of at most 1 migrations are made");
}

TEST_F(WindowsTest, keep_what_runs_where_the_solver_fails_or_everything_was_frozen_meanwhile) {
  static_cast<void>(start_plan());
  EXPECT_FALSE(judge(tl::unexpected(Error{ErrorCode::kFailure, "no memory"})));
  EXPECT_EQ(reason(), "the solver failed: no memory");
  EXPECT_EQ(windows_.counters().plans_failed, 1U);
  now_ += milliseconds(5'000);
  static_cast<void>(report(0, 2, {160, 140, 10, 10}));
  ASSERT_TRUE(first<StartPlanning>(report(1, 2, {140, 160, 10, 10})));
  EXPECT_FALSE(judge(better(), true));
  EXPECT_EQ(reason(), "frozen while it was planned");
  EXPECT_EQ(windows_.decided_windows(), 2U);
}

TEST_F(WindowsTest, tell_waiting_workers_only_when_a_window_is_decided) {
  static_cast<void>(report(0, 1, {60, 40, 10, 10}, 1));
  const Actions planned = report(1, 1, {40, 60, 10, 10}, 1);
  ASSERT_TRUE(first<StartPlanning>(planned));
  EXPECT_FALSE(first<Send>(planned));
  ASSERT_TRUE(judge(better()));
  EXPECT_FALSE(first<Send>(out_.take())) << "adopted, but not carried out";
  windows_.finish(registry_, {1, 1}, out_);
  const Actions finished = out_.take();
  for (std::uint32_t rank = 0; rank < 2; ++rank) {
    const auto* ack = sent_to<wire::ReportAck>(finished, name(rank));
    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->window_decided, 1U);
    EXPECT_EQ(ack->committed, (wire::Stamp{1, 1}));
  }
}

TEST_F(WindowsTest, that_ended_before_this_process_are_skipped) {
  windows_ = Windows(window_options(), true);
  static_cast<void>(report(0, 1, {100, 0, 0, 0}, 5));
  EXPECT_FALSE(first<StartPlanning>(report(1, 1, {100, 0, 0, 0}, 5)));
  EXPECT_EQ(windows_.first_open(), 5U);
  EXPECT_EQ(windows_.decided_windows(), 5U);
  EXPECT_EQ(windows_.counters().windows_closed, 0U);
}

class WindowsOfEight : public WindowsTest {
 protected:
  WindowsOfEight() : WindowsTest(8) {}

  std::optional<AdoptedPlan> judged(const Counts& most, const wire::Report& last) {
    for (std::uint32_t rank = 0; rank < 7; ++rank) static_cast<void>(report(rank, 1, most));
    EXPECT_TRUE(first<StartPlanning>(report(7, last)));
    return judge(better());
  }
};

TEST_F(WindowsOfEight, keep_what_runs_where_the_gain_hangs_on_one_worker) {
  auto lie = report_of(1, {1'600, 1'600, 0, 0});
  lie.stages.front().tokens = 100;
  EXPECT_FALSE(judged({25, 25, 25, 25}, lie));
  EXPECT_EQ(reason(), "most of what it gains in this window is by the counts of w7 alone");
}

TEST_F(WindowsOfEight, adopt_where_the_others_say_so_too) {
  EXPECT_TRUE(judged({40, 40, 10, 10}, report_of(1, {100, 0, 0, 0})));
}

}  // namespace
}  // namespace evenkeel::rebalancer::windows_test
