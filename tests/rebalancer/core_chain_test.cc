// Migrations of several epochs, what operators do to them, and several models in one service.
#include <gtest/gtest.h>

#include "rebalancer/core/groups.h"
#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer::core_chain_test {
namespace {

/// One spare buffer a GPU: the change of two layers takes two epochs.
class CoreChain : public CoreTest {
 protected:
  CoreChain() { restart_with(chain_options()); }

  static CoreOptions chain_options() {
    CoreOptions o = options();
    o.policy.spare = 1;
    return o;
  }
  /// The PREPARE among some actions, or null.
  static const wire::Prepare* prepared(const Actions& actions) {
    const auto* broadcast = first<Broadcast>(actions);
    return broadcast ? std::get_if<wire::Prepare>(&broadcast->message) : nullptr;
  }
};

TEST_F(CoreChain, prepares_an_epoch_only_when_all_have_switched_to_the_one_before) {
  const Actions first_actions = prepare_better();
  ASSERT_TRUE(prepared(first_actions));
  EXPECT_EQ(prepared(first_actions)->chain_left, 1U);
  EXPECT_EQ(prepared(first_actions)->copies.size(), 2U) << "one expert to each GPU fits the spare buffers";
  static_cast<void>(both_ready());
  EXPECT_EQ(core_.running()->epoch, 1U);
  EXPECT_NE(core_.running()->placement, better());
  static_cast<void>(applied("a"));
  EXPECT_EQ(journal_.back().kind, RecordKind::kCommit);
  const Actions second = applied("b");
  EXPECT_TRUE(sent_to<wire::Retire>(second, "a"));
  const wire::Prepare* prepare = nullptr;
  for (const Action& action : second) {
    const auto* broadcast = std::get_if<Broadcast>(&action);
    if (broadcast && std::get_if<wire::Prepare>(&broadcast->message)) {
      prepare = std::get_if<wire::Prepare>(&broadcast->message);
    }
  }
  ASSERT_TRUE(prepare);
  EXPECT_EQ(prepare->base_epoch, 1U);
  EXPECT_EQ(prepare->chain_left, 0U);
  const Actions done = both_ready();
  EXPECT_EQ(notes(done, "migration_finished").size(), 1U);
  EXPECT_EQ(core_.running()->epoch, 2U);
  EXPECT_EQ(core_.running()->placement, better());
}

TEST_F(CoreChain, decides_no_window_before_its_last_epoch) {
  static_cast<void>(prepare_better());
  static_cast<void>(both_ready());
  static_cast<void>(both_applied());
  now_ += milliseconds(5'000);
  static_cast<void>(report("a", 2, {160, 140, 10, 10}));
  EXPECT_TRUE(notes(report("b", 2, {140, 160, 10, 10}), "plan_decided").empty());
  static_cast<void>(both_ready());
  static_cast<void>(both_applied());
  EXPECT_EQ(core_.windows_decided(), 1U);
  EXPECT_EQ(notes(tick(milliseconds(0)), "plan_decided").size(), 1U);
  EXPECT_EQ(core_.windows_decided(), 2U);
}

TEST_F(CoreChain, ends_after_an_abort_in_the_epoch_that_was_committed_last) {
  static_cast<void>(prepare_better());
  static_cast<void>(both_ready());
  static_cast<void>(both_applied());
  const Actions aborted = tick(milliseconds(10'000));
  EXPECT_EQ(journal_.back().kind, RecordKind::kAbort);
  EXPECT_EQ(notes(aborted, "migration_dropped").size(), 1U);
  EXPECT_EQ(core_.running()->epoch, 1U);
  EXPECT_EQ(core_.windows_decided(), 1U);
}

TEST_F(CoreChain, is_dropped_where_a_worker_does_not_switch_in_time_and_the_committed_epoch_stands) {
  static_cast<void>(prepare_better());
  static_cast<void>(both_ready());
  static_cast<void>(applied("a"));
  const Actions dropped = tick(milliseconds(10'000));
  EXPECT_EQ(text_of(dropped, "migration_dropped", "reason"), "a worker has not switched in time");
  EXPECT_EQ(journal_.back().kind, RecordKind::kCommit);
  EXPECT_TRUE(sent_to<wire::Commit>(dropped, "b")) << "forward only";
  EXPECT_FALSE(prepared(applied("b")));
}

TEST_F(CoreChain, after_a_crash_between_its_epochs_is_forgotten) {
  static_cast<void>(prepare_better());
  static_cast<void>(both_ready());
  static_cast<void>(both_applied());
  restart_with(chain_options());
  EXPECT_EQ(journal_.back().kind, RecordKind::kAbort);
  EXPECT_EQ(core_.running()->epoch, 1U);
  join_both();
  EXPECT_EQ(core_.phase(), "idle");
}

TEST_F(CoreChain, is_given_up_when_the_operator_freezes_and_nothing_is_planned_until_he_unfreezes) {
  static_cast<void>(prepare_better());
  const Actions frozen = step(Control{Control::Command::kFreeze, "maintenance"});
  EXPECT_EQ(journal_.back().kind, RecordKind::kAbort);
  EXPECT_TRUE(sent_to<wire::Abort>(frozen, "a"));
  now_ += milliseconds(2'000);
  static_cast<void>(report("a", 2, {160, 140, 10, 10}));
  const Actions kept = report("b", 2, {140, 160, 10, 10});
  EXPECT_EQ(text_of(kept, "plan_decided", "reason"), "frozen by the operator");
  static_cast<void>(step(Control{Control::Command::kUnfreeze, ""}));
  static_cast<void>(report("a", 3, {260, 240, 10, 10}));
  EXPECT_TRUE(first<StartPlanning>(report("b", 3, {240, 260, 10, 10})));
}

TEST_F(CoreChain, is_not_carried_out_in_a_dry_run) {
  static_cast<void>(step(Control{Control::Command::kDryRunOn, ""}));
  const Actions told = prepare_better();
  EXPECT_EQ(text_of(told, "plan_decided", "verdict"), "keep");
  EXPECT_EQ(text_of(told, "plan_decided", "reason").substr(0, 8), "dry run:");
  EXPECT_FALSE(first<Write>(told));
}

TEST_F(CoreChain, may_be_triggered_before_the_window_is_over) {
  join_both();
  static_cast<void>(report("a", 1, {6, 4, 1, 1}));
  static_cast<void>(report("b", 1, {4, 6, 1, 1}));
  EXPECT_FALSE(first<StartPlanning>(tick(milliseconds(1'000))));
  static_cast<void>(step(Control{Control::Command::kTrigger, "by hand"}));
  EXPECT_TRUE(first<StartPlanning>(tick(milliseconds(0))));
}

Groups groups_of(GroupsOptions options) {
  auto groups = Groups::create(std::move(options), Recovery{1, {}, {}});
  EXPECT_TRUE(groups) << groups.error().message;
  return *std::move(groups);
}

class CoreGroups : public CoreTest {
 protected:
  Actions greet(Groups& groups, const std::string& model, wire::Hello hello = hello_of(0)) {
    return groups.step(Received{"peer", "a", model, std::move(hello)}, now_);
  }
  static GroupsOptions groups_options() {
    GroupsOptions o;
    o.defaults = options();
    return o;
  }
};

TEST_F(CoreGroups, of_several_models_have_placements_of_their_own_and_one_journal) {
  Groups groups = groups_of(groups_options());
  wire::Hello other = hello_of(0);
  other.layer_ids = {1, 2, 3};
  other.model_hash = wire::model_hash(other.layer_ids, other.experts);
  for (const auto& [model, hello] : {std::pair{"decode-pool", hello_of(0)}, {"prefill-pool", other}}) {
    const Actions actions = greet(groups, model, hello);
    ASSERT_TRUE(sent_to<wire::Snapshot>(actions, "peer"));
    ASSERT_TRUE(first<Write>(actions));
    for (const JournalRecord& record : first<Write>(actions)->records) journal_.push_back(record);
  }
  auto recovery = recover(2, journal_);
  ASSERT_TRUE(recovery);
  auto again = Groups::create(groups_options(), *std::move(recovery));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->cores().at("decode-pool").running()->placement.layers(), 2U);
  EXPECT_EQ(again->cores().at("prefill-pool").running()->placement.layers(), 3U);
}

TEST_F(CoreGroups, beyond_their_limit_or_unknown_are_refused_and_leave_nothing_behind) {
  GroupsOptions o = groups_options();
  o.models_max = 1;
  Groups groups = groups_of(o);
  wire::Hello false_hash = hello_of(0);
  ++false_hash.model_hash;
  EXPECT_TRUE(sent_to<wire::Refusal>(greet(groups, "m", false_hash), "peer"));
  EXPECT_TRUE(groups.cores().empty());
  EXPECT_EQ(groups.counters().hellos_refused, 1U);
  EXPECT_TRUE(sent_to<wire::Snapshot>(greet(groups, "one"), "peer"));
  const Actions refused = greet(groups, "two");
  ASSERT_TRUE(sent_to<wire::Refusal>(refused, "peer"));
  EXPECT_EQ(groups.cores().size(), 1U);
  EXPECT_EQ(groups.counters().messages_from_unknown, 1U);
  GroupsOptions listed = groups_options();
  listed.models["only"] = options();
  Groups strict = groups_of(listed);
  EXPECT_TRUE(sent_to<wire::Refusal>(greet(strict, "two"), "peer"));
  EXPECT_TRUE(sent_to<wire::Snapshot>(greet(strict, "only"), "peer"));
}

TEST_F(CoreGroups, that_come_later_have_the_cluster_and_placement_of_the_start_and_new_thresholds) {
  GroupsOptions o = groups_options();
  o.defaults.first_placement = better();
  Groups groups = groups_of(o);
  CoreOptions wanted = options();
  wanted.cluster.gpus = 4;
  wanted.agents_expected = 7;
  wanted.tokens_min = 5;
  static_cast<void>(groups.step(Reconfigured{wanted}, now_));
  EXPECT_EQ(sent_to<wire::Snapshot>(greet(groups, "one"), "peer")->placement, better());
  EXPECT_EQ(groups.cores().at("one").options().cluster.gpus, 2U);
  EXPECT_EQ(groups.cores().at("one").options().agents_expected, 2U);
  EXPECT_EQ(groups.cores().at("one").options().tokens_min, 5U);
}

TEST_F(CoreGroups, that_come_later_are_frozen_too) {
  Groups groups = groups_of(groups_options());
  static_cast<void>(groups.step(Control{Control::Command::kFreeze, "maintenance"}, now_));
  static_cast<void>(greet(groups, "one"));
  EXPECT_TRUE(groups.cores().at("one").is_frozen());
}

}  // namespace
}  // namespace evenkeel::rebalancer::core_chain_test
