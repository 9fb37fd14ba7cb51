#include <gtest/gtest.h>

#include <algorithm>

#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer::core_migration_test {
namespace {

using CoreMigration = CoreTest;

TEST_F(CoreMigration, journals_before_it_speaks_and_commits_when_all_are_ready) {
  const Actions prepared = prepare_better();
  const auto is_write = [](const Action& a) { return std::holds_alternative<Write>(a); };
  const auto is_spoken = [](const Action& a) {
    return std::holds_alternative<Send>(a) || std::holds_alternative<Broadcast>(a);
  };
  EXPECT_LT(std::ranges::find_if(prepared, is_write), std::ranges::find_if(prepared, is_spoken));
  EXPECT_EQ(journal_.back().kind, RecordKind::kPrepare);
  EXPECT_FALSE(first<Write>(ready("a")));
  const Actions committed = ready("b");
  EXPECT_LT(std::ranges::find_if(committed, is_write), std::ranges::find_if(committed, is_spoken));
  EXPECT_EQ(journal_.back().kind, RecordKind::kCommit);
  for (const std::string worker : {"a", "b"}) {
    ASSERT_TRUE(sent_to<wire::Commit>(committed, worker));
    EXPECT_EQ(sent_to<wire::Commit>(committed, worker)->stamp, (wire::Stamp{1, 1}));
    EXPECT_EQ(sent_to<wire::Commit>(committed, worker)->digest, wire::digest(better()));
  }
  EXPECT_TRUE(first<Broadcast>(committed));
  EXPECT_EQ(core_.running()->placement, better());
}

TEST_F(CoreMigration, counts_one_agent_that_is_ready_twice_as_one) {
  static_cast<void>(prepare_better());
  static_cast<void>(ready("a"));
  static_cast<void>(ready("a"));
  EXPECT_EQ(core_.running()->epoch, 0U);
}

TEST_F(CoreMigration, repeats_prepare_and_commit_until_they_are_acknowledged) {
  static_cast<void>(prepare_better());
  static_cast<void>(ready("a"));
  const Actions repeated = tick(milliseconds(300));
  EXPECT_FALSE(sent_to<wire::Prepare>(repeated, "a"));
  ASSERT_TRUE(sent_to<wire::Prepare>(repeated, "b"));
  EXPECT_EQ(sent_to<wire::Prepare>(repeated, "b")->deadline_ms, 9'700U);
  const Actions committed = ready("b");
  ASSERT_TRUE(sent_to<wire::Commit>(committed, "b"));
  static_cast<void>(applied("a"));
  const Actions later = tick(milliseconds(300));
  EXPECT_FALSE(sent_to<wire::Commit>(later, "a"));
  EXPECT_TRUE(sent_to<wire::Commit>(later, "b"));
  static_cast<void>(applied("b"));
  EXPECT_FALSE(sent_to<wire::Commit>(tick(milliseconds(300)), "b"));
}

TEST_F(CoreMigration, aborts_at_the_deadline_when_a_ready_is_lost) {
  static_cast<void>(prepare_better());
  static_cast<void>(ready("a"));
  EXPECT_FALSE(first<Write>(tick(milliseconds(9'999))));
  const Actions aborted = tick(milliseconds(1));
  EXPECT_EQ(journal_.back().kind, RecordKind::kAbort);
  EXPECT_TRUE(sent_to<wire::Abort>(aborted, "a"));
  EXPECT_TRUE(sent_to<wire::Abort>(aborted, "b"));
  static_cast<void>(ready("b"));
  EXPECT_EQ(core_.running()->epoch, 0U) << "a READY after the ABORT changes nothing";
  EXPECT_EQ(core_.counters().messages_late, 1U);
}

TEST_F(CoreMigration, aborts_when_an_agent_refuses_the_epoch) {
  static_cast<void>(prepare_better());
  static_cast<void>(receive("a", wire::Refusal{wire::RefusalReason::kShapeMismatch, "prepare", 1, {1, 0}, ""}));
  EXPECT_EQ(journal_.back().kind, RecordKind::kAbort);
}

TEST_F(CoreMigration, goes_on_when_an_agent_refuses_what_was_prepared_before) {
  using enum wire::RefusalReason;
  static_cast<void>(prepare_better());
  static_cast<void>(receive("a", wire::Refusal{kStaleStamp, "prepare", 0, {1, 0}, "a copy of an older PREPARE"}));
  EXPECT_EQ(core_.phase(), "preparing");
  restart();
  static_cast<void>(start_plan());
  static_cast<void>(report("a", 2, {120, 80, 20, 20}));
  static_cast<void>(report("b", 2, {80, 120, 20, 20}));
  static_cast<void>(step(PlanReady{"model", 1, better(), 0.1}));
  static_cast<void>(receive("a", wire::Refusal{kShapeMismatch, "prepare", 1, {2, 0}, "of the term before"}));
  static_cast<void>(receive("a", wire::Refusal{kShapeMismatch, "prepare", std::nullopt, {2, 0}, "of no epoch"}));
  EXPECT_EQ(core_.phase(), "preparing");
  EXPECT_EQ(core_.counters().messages_late, 2U);
  static_cast<void>(receive("a", wire::Refusal{kShapeMismatch, "prepare", 2, {2, 0}, "no room"}));
  EXPECT_EQ(journal_.back().kind, RecordKind::kAbort);
}

TEST_F(CoreMigration, never_aborts_after_commit) {
  static_cast<void>(prepare_better());
  static_cast<void>(ready("a"));
  static_cast<void>(ready("b"));
  static_cast<void>(receive("a", wire::Refusal{wire::RefusalReason::kShapeMismatch, "prepare", 1, {1, 0}, ""}));
  static_cast<void>(tick(milliseconds(60'000)));
  EXPECT_EQ(journal_.back().kind, RecordKind::kCommit);
  EXPECT_EQ(core_.running()->epoch, 1U);
}

TEST_F(CoreMigration, tells_who_copies_what_from_where) {
  const Actions prepared = prepare_better();
  ASSERT_TRUE(first<Broadcast>(prepared));
  const auto& prepare = std::get<wire::Prepare>(first<Broadcast>(prepared)->message);
  EXPECT_EQ(prepare.copies, (std::vector<wire::Copy>{{0, 2, 1, 0}, {0, 1, 0, 1}, {1, 2, 1, 0}, {1, 1, 0, 1}}));
  EXPECT_EQ(prepare.chain_left, 0U);
}

TEST_F(CoreMigration, retires_old_copies_once_all_have_switched_and_says_so_to_latecomers) {
  static_cast<void>(prepare_better());
  static_cast<void>(both_ready());
  EXPECT_FALSE(sent_to<wire::Retire>(applied("a"), "a"));
  const Actions retired = applied("b");
  for (const std::string worker : {"a", "b"}) {
    ASSERT_TRUE(sent_to<wire::Retire>(retired, worker));
    EXPECT_EQ(sent_to<wire::Retire>(retired, worker)->stamp, (wire::Stamp{1, 1}));
  }
  EXPECT_FALSE(sent_to<wire::Retire>(applied("b"), "b")) << "once";
  EXPECT_TRUE(sent_to<wire::Retire>(hello("b"), "b"));
}

TEST_F(CoreMigration, gives_up_after_a_crash_before_commit_and_plans_again_under_a_new_number) {
  static_cast<void>(prepare_better());
  static_cast<void>(ready("a"));
  restart();
  EXPECT_EQ(journal_.back().kind, RecordKind::kAbort);
  EXPECT_EQ(journal_.back().stamp.epoch, 1U);
  EXPECT_EQ(core_.running()->epoch, 0U);
  const auto answer = ready("b");
  ASSERT_TRUE(sent_to<wire::Refusal>(answer, "b"));
  EXPECT_EQ(sent_to<wire::Refusal>(answer, "b")->reason, wire::RefusalReason::kUnknownAgent);
  static_cast<void>(start_plan());
  static_cast<void>(report("a", 2, {120, 80, 20, 20}));
  ASSERT_TRUE(first<StartPlanning>(report("b", 2, {80, 120, 20, 20}))) << "the first reports were history";
  const Actions prepared = step(PlanReady{"model", 1, better(), 0.1});
  ASSERT_TRUE(first<Broadcast>(prepared));
  EXPECT_EQ(std::get<wire::Prepare>(first<Broadcast>(prepared)->message).stamp, (wire::Stamp{2, 2}));
}

TEST_F(CoreMigration, completes_forward_after_a_crash_behind_commit) {
  static_cast<void>(prepare_better());
  static_cast<void>(ready("a"));
  static_cast<void>(ready("b"));
  restart();
  EXPECT_EQ(journal_.back().kind, RecordKind::kCommit);
  const Actions actions = hello("b");
  ASSERT_TRUE(sent_to<wire::Snapshot>(actions, "b"));
  EXPECT_EQ(sent_to<wire::Snapshot>(actions, "b")->stamp, (wire::Stamp{2, 1}));
  EXPECT_EQ(sent_to<wire::Snapshot>(actions, "b")->placement, better());
}

TEST_F(CoreMigration, brings_an_agent_that_restarts_while_preparing_up_to_date) {
  static_cast<void>(prepare_better());
  static_cast<void>(ready("a"));
  const Actions actions = hello("a", 2);
  EXPECT_TRUE(sent_to<wire::Snapshot>(actions, "a"));
  EXPECT_TRUE(sent_to<wire::Prepare>(actions, "a"));
  static_cast<void>(ready("b"));
  EXPECT_EQ(core_.running()->epoch, 0U) << "the new incarnation has loaded nothing yet";
}

}  // namespace
}  // namespace evenkeel::rebalancer::core_migration_test
