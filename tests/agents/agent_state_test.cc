#include "agents/agent/agent_state.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agents/wire_samples.h"

namespace evenkeel::agent::agent_state_test {
namespace {

using std::chrono::milliseconds;
using wire::sample_placement;

const TimePoint kStart{};

AgentOptions options() {
  return {.shape = {.layer_ids = {1, 2}, .experts = 4, .hidden_layers = std::nullopt},
          .rank = 0,
          .world = 2,
          .incarnation = 7};
}

template <class M>
std::vector<M> sent(const Actions& actions) {
  std::vector<M> messages;
  for (const Action& action : actions) {
    if (const auto* send = std::get_if<Send>(&action)) {
      if (const auto* message = std::get_if<M>(&send->message)) messages.push_back(*message);
    }
  }
  return messages;
}

template <class A>
std::size_t count(const Actions& actions) {
  std::size_t n = 0;
  for (const Action& action : actions) n += std::holds_alternative<A>(action) ? 1U : 0U;
  return n;
}

probe::Tally tally(std::uint64_t number, std::uint64_t window = 0) {
  return {
      .number = number, .steps = 10, .window = window, .stages = {{Stage::kDecode, 5, Grid<std::uint64_t>(2, 4, 5)}}};
}

wire::Prepare prepare_of(std::uint64_t term, std::uint64_t epoch, std::uint64_t base, ExpertIndex first = 1) {
  return {{term, epoch}, base, 1000, sample_placement(first), {{0, 1, 0, 1}}, 0};
}

wire::Commit commit_of(std::uint64_t term, std::uint64_t epoch, ExpertIndex first) {
  return {{term, epoch}, wire::digest(sample_placement(first))};
}

/// An agent and what its worker shows.
class AgentStateTest : public ::testing::Test {
 protected:
  Actions tick(milliseconds after = milliseconds(0)) { return agent_.tick(kStart + after, worker_); }
  Actions receive(const wire::Message& message) { return agent_.on_message(message, kStart); }
  /// The worker has loaded an epoch.
  Actions loaded(std::uint64_t epoch) {
    worker_.epochs.ready = epoch;
    return tick();
  }
  /// The worker routes with an epoch from a step on.
  Actions switched(std::uint64_t epoch, ExpertIndex first, std::uint64_t step = 0) {
    worker_.epochs.running = {.epoch = epoch, .step = step, .digest = wire::digest(sample_placement(first))};
    return tick();
  }

  /// In term 1, beside a worker that runs epoch 0.
  void join() {
    const auto actions = receive(wire::Snapshot{{1, 0}, sample_placement()});
    EXPECT_EQ(count<Load>(actions), 1U);
    EXPECT_EQ(count<Allow>(actions), 1U);
    static_cast<void>(loaded(0));
    EXPECT_EQ(sent<wire::Applied>(switched(0, 0)).size(), 1U);
  }
  /// As join(), with (1, 1) prepared and loaded.
  void make_ready() {
    join();
    static_cast<void>(receive(prepare_of(1, 1, 0)));
    EXPECT_EQ(sent<wire::Ready>(loaded(1)).size(), 1U);
  }

  WorkerView worker_;
  AgentState agent_{options(), kStart};
};

TEST_F(AgentStateTest, says_hello_with_growing_waits_until_a_snapshot_comes) {
  EXPECT_EQ(sent<wire::Hello>(tick()).size(), 1U);
  EXPECT_TRUE(tick(milliseconds(199)).empty());
  EXPECT_EQ(sent<wire::Hello>(tick(milliseconds(200))).size(), 1U);
  EXPECT_TRUE(tick(milliseconds(599)).empty());
  EXPECT_EQ(sent<wire::Hello>(tick(milliseconds(600))).size(), 1U);
  EXPECT_FALSE(agent_.is_report_due(kStart + milliseconds(600), worker_));
  static_cast<void>(agent_.on_message(wire::Snapshot{{1, 0}, sample_placement()}, kStart + milliseconds(601)));
  EXPECT_TRUE(sent<wire::Hello>(tick(milliseconds(700))).empty());
  EXPECT_TRUE(agent_.is_report_due(kStart + milliseconds(700), worker_));
}

TEST_F(AgentStateTest, reports_all_that_the_worker_has_published_under_rising_numbers) {
  join();
  wire::Losses losses;
  losses[wire::Loss::kPathsDropped] = 3;
  const auto first = sent<wire::Report>(agent_.report(kStart, tally(3, 2), losses));
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0],
            (wire::Report{7, 1, 0, 2, 10, {{Stage::kDecode, 5, Grid<std::uint64_t>(2, 4, 5)}}, false, losses}));
  EXPECT_EQ(sent<wire::Report>(agent_.report(kStart, tally(3, 2), {}))[0].sequence, 2U);
}

TEST_F(AgentStateTest, goes_on_with_the_numbers_of_the_agent_before_it) {
  AgentOptions after = options();
  after.reports = 41;
  after.term_seen = 3;
  AgentState agent(after, kStart);
  EXPECT_EQ(sent<wire::Hello>(agent.tick(kStart, {})).front().term_seen, 3U);
  EXPECT_EQ(sent<wire::Report>(agent.report(kStart, tally(1), {}))[0].sequence, 42U);
}

TEST_F(AgentStateTest, reports_at_once_when_a_window_ends_and_soon_again_until_it_is_decided) {
  join();
  static_cast<void>(agent_.report(kStart, tally(1), {}));
  EXPECT_FALSE(agent_.is_report_due(kStart + milliseconds(500), worker_));
  worker_.window = 1;
  EXPECT_TRUE(agent_.is_report_due(kStart, worker_));
  static_cast<void>(agent_.report(kStart, tally(2, 1), {}));
  EXPECT_FALSE(agent_.is_report_due(kStart + milliseconds(19), worker_));
  EXPECT_TRUE(agent_.is_report_due(kStart + milliseconds(20), worker_));
  EXPECT_EQ(count<Decided>(receive(wire::ReportAck{{1, 0}, 7, 2, 1})), 1U);
  EXPECT_FALSE(agent_.is_report_due(kStart + milliseconds(999), worker_));
  EXPECT_TRUE(agent_.is_report_due(kStart + milliseconds(1000), worker_));
}

TEST_F(AgentStateTest, is_done_with_an_ended_worker_once_its_last_report_is_acknowledged) {
  join();
  static_cast<void>(agent_.report(kStart, tally(5), {}));
  EXPECT_FALSE(agent_.is_report_due(kStart + milliseconds(1), worker_));
  worker_.has_ended = true;
  EXPECT_TRUE(agent_.is_report_due(kStart + milliseconds(1), worker_));
  EXPECT_TRUE(sent<wire::Report>(agent_.report(kStart, tally(5), {}, true)).front().is_last);
  EXPECT_FALSE(agent_.is_report_due(kStart + milliseconds(2), worker_));
  static_cast<void>(receive(wire::ReportAck{{1, 0}, 7, 1, 0}));
  EXPECT_FALSE(agent_.is_last_answered()) << "report 1 was not the last";
  static_cast<void>(receive(wire::ReportAck{{1, 0}, 8, 2, 0}));
  EXPECT_FALSE(agent_.is_last_answered()) << "another incarnation's";
  static_cast<void>(receive(wire::ReportAck{{1, 0}, 7, 2, 0}));
  EXPECT_TRUE(agent_.is_last_answered());
}

TEST_F(AgentStateTest, is_in_contact_from_the_first_answer_until_it_asks_again) {
  EXPECT_FALSE(agent_.contact());
  join();
  const auto acknowledge = [&](milliseconds after) {
    static_cast<void>(agent_.on_message(wire::ReportAck{{1, 0}, 7, 1, 0}, kStart + after));
  };
  acknowledge(milliseconds(2'000));
  ASSERT_TRUE(agent_.contact());
  EXPECT_EQ(agent_.contact()->since, kStart);
  EXPECT_EQ(agent_.contact()->last, kStart + milliseconds(2'000));
  static_cast<void>(tick(milliseconds(5'001)));
  EXPECT_FALSE(agent_.contact());
  acknowledge(milliseconds(6'000));
  EXPECT_FALSE(agent_.contact()) << "a late one: the agent still asks";
  static_cast<void>(agent_.on_message(wire::Snapshot{{2, 0}, sample_placement()}, kStart + milliseconds(9'000)));
  EXPECT_EQ(agent_.contact()->since, kStart + milliseconds(9'000));
}

TEST_F(AgentStateTest, takes_a_refused_hello_for_an_answer_and_one_to_ask_again_for_none) {
  static_cast<void>(receive(wire::Refusal{wire::RefusalReason::kShapeMismatch, "hello", std::nullopt, {1, 0}, ""}));
  EXPECT_TRUE(agent_.contact());
  join();
  static_cast<void>(receive(wire::Refusal{wire::RefusalReason::kUnknownAgent, "report", std::nullopt, {2, 0}, ""}));
  EXPECT_FALSE(agent_.contact());
}

TEST_F(AgentStateTest, migrates_in_the_order_prepare_ready_commit_switch_applied) {
  join();
  const auto prepared = receive(prepare_of(1, 1, 0));
  ASSERT_EQ(count<Load>(prepared), 1U);
  EXPECT_TRUE(sent<wire::Ready>(prepared).empty());
  EXPECT_EQ(sent<wire::Ready>(loaded(1)).size(), 1U);
  EXPECT_TRUE(loaded(1).empty()) << "said once";
  const auto committed = receive(commit_of(1, 1, 1));
  EXPECT_EQ(count<Allow>(committed), 1U);
  EXPECT_EQ(count<Load>(committed), 0U);
  EXPECT_TRUE(sent<wire::Applied>(committed).empty()) << "the ranks have not switched yet";
  const auto applied = sent<wire::Applied>(switched(1, 1, 3000));
  ASSERT_EQ(applied.size(), 1U);
  EXPECT_EQ(applied[0], (wire::Applied{{1, 1}, 7, wire::digest(sample_placement(1)), 3000}));
  EXPECT_EQ(agent_.committed()->placement, sample_placement(1));
}

TEST_F(AgentStateTest, allows_a_repeated_commit_once_and_acknowledges_it_when_the_worker_has_switched) {
  make_ready();
  static_cast<void>(receive(commit_of(1, 1, 1)));
  EXPECT_TRUE(receive(commit_of(1, 1, 1)).empty());
  static_cast<void>(switched(1, 1));
  const auto again = receive(commit_of(1, 1, 1));
  EXPECT_EQ(count<Allow>(again), 0U);
  EXPECT_EQ(sent<wire::Applied>(again).size(), 1U);
}

TEST_F(AgentStateTest, lets_old_copies_go_once_when_all_ranks_have_switched) {
  make_ready();
  static_cast<void>(receive(commit_of(1, 1, 1)));
  EXPECT_EQ(count<Release>(receive(wire::Retire{{1, 1}})), 0U) << "its own worker has not switched";
  static_cast<void>(switched(1, 1));
  EXPECT_EQ(count<Release>(receive(wire::Retire{{1, 1}})), 1U);
  EXPECT_TRUE(receive(wire::Retire{{1, 1}}).empty());
}

TEST_F(AgentStateTest, takes_the_next_prepare_for_a_lost_retire) {
  join();
  const auto actions = receive(prepare_of(1, 1, 0));
  ASSERT_EQ(count<Release>(actions), 1U);
  ASSERT_EQ(count<Load>(actions), 1U);
}

TEST_F(AgentStateTest, leaves_a_prepare_alone_while_the_worker_has_not_switched_to_its_base) {
  make_ready();
  static_cast<void>(receive(commit_of(1, 1, 1)));
  EXPECT_TRUE(receive(prepare_of(1, 2, 1, 2)).empty());
  EXPECT_EQ(agent_.counters().prepares_early, 1U);
  static_cast<void>(switched(1, 1));
  EXPECT_EQ(count<Load>(receive(prepare_of(1, 2, 1, 2))), 1U);
}

TEST_F(AgentStateTest, answers_a_repeated_prepare_without_loading_again) {
  make_ready();
  const auto again = receive(prepare_of(1, 1, 0));
  EXPECT_EQ(count<Load>(again), 0U);
  EXPECT_EQ(sent<wire::Ready>(again).size(), 1U);
}

TEST_F(AgentStateTest, ignores_a_prepare_that_comes_after_its_epoch_was_committed_or_replaced) {
  make_ready();
  static_cast<void>(receive(commit_of(1, 1, 1)));
  static_cast<void>(switched(1, 1));
  EXPECT_TRUE(receive(prepare_of(1, 1, 0)).empty()) << "the rebalancer would abort what it prepares now";
  static_cast<void>(receive(prepare_of(1, 3, 1, 2)));
  EXPECT_TRUE(receive(prepare_of(1, 2, 1, 3)).empty());
  EXPECT_EQ(agent_.counters().prepares_late, 2U);
  EXPECT_EQ(agent_.prepared()->stamp.epoch, 3U);
}

TEST_F(AgentStateTest, refuses_a_prepare_that_builds_on_an_epoch_below_the_committed_one) {
  make_ready();
  static_cast<void>(receive(commit_of(1, 1, 1)));
  static_cast<void>(switched(1, 1));
  EXPECT_EQ(sent<wire::Refusal>(receive(prepare_of(1, 2, 0, 2))).size(), 1U);
}

TEST_F(AgentStateTest, says_when_the_worker_has_no_room) {
  join();
  static_cast<void>(receive(prepare_of(1, 1, 0)));
  const auto refusals = sent<wire::Refusal>(agent_.cannot_load({1, 1}, "no room"));
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals[0].about, "prepare");
  EXPECT_EQ(refusals[0].about_epoch, 1U);
  EXPECT_FALSE(agent_.prepared());
}

TEST_F(AgentStateTest, refuses_a_lower_term) {
  static_cast<void>(receive(wire::Snapshot{{5, 2}, sample_placement()}));
  for (const wire::Message& message : {wire::Message(wire::Snapshot{{4, 9}, sample_placement(1)}),
                                       wire::Message(prepare_of(4, 9, 2)), wire::Message(commit_of(4, 9, 1)),
                                       wire::Message(wire::Abort{{4, 9}, ""}), wire::Message(wire::Retire{{4, 9}})}) {
    const auto refusals = sent<wire::Refusal>(receive(message));
    ASSERT_EQ(refusals.size(), 1U) << wire::type_name(message);
    EXPECT_EQ(refusals.front().reason, wire::RefusalReason::kStaleStamp);
    EXPECT_EQ(refusals.front().known, (wire::Stamp{5, 2}));
  }
  EXPECT_EQ(agent_.committed()->stamp, (wire::Stamp{5, 2}));
}

TEST_F(AgentStateTest, refuses_a_lower_epoch_and_another_map_under_a_known_stamp) {
  make_ready();
  static_cast<void>(receive(commit_of(1, 1, 1)));
  static_cast<void>(switched(1, 1));
  EXPECT_EQ(sent<wire::Refusal>(receive(commit_of(1, 0, 0))).size(), 1U);
  EXPECT_EQ(sent<wire::Refusal>(receive(wire::Snapshot{{2, 0}, sample_placement()})).size(), 1U);
  for (const wire::Message& message :
       {wire::Message(commit_of(2, 1, 3)), wire::Message(wire::Snapshot{{2, 1}, sample_placement(3)})}) {
    const auto conflict = sent<wire::Refusal>(receive(message));
    ASSERT_EQ(conflict.size(), 1U);
    EXPECT_EQ(conflict.front().reason, wire::RefusalReason::kConflict);
  }
  EXPECT_EQ(agent_.committed()->placement, sample_placement(1));
}

TEST_F(AgentStateTest, refuses_another_map_for_what_the_worker_runs_though_it_has_just_started) {
  static_cast<void>(switched(4, 1));
  const auto conflict = sent<wire::Refusal>(receive(wire::Snapshot{{2, 4}, sample_placement(3)}));
  ASSERT_EQ(conflict.size(), 1U);
  EXPECT_EQ(conflict.front().reason, wire::RefusalReason::kConflict);
  EXPECT_EQ(sent<wire::Refusal>(receive(wire::Snapshot{{2, 3}, sample_placement(3)})).size(), 1U);
}

TEST_F(AgentStateTest, finds_the_worker_as_the_agent_before_it_left_it) {
  worker_.epochs.running = {.epoch = 4, .step = 90, .digest = wire::digest(sample_placement(1))};
  const auto found = tick();
  EXPECT_EQ(sent<wire::Hello>(found).front().epoch_applied, 4U);
  EXPECT_TRUE(sent<wire::Applied>(found).empty());
  const auto actions = receive(wire::Snapshot{{1, 4}, sample_placement(1)});
  EXPECT_EQ(count<Load>(actions), 0U);
  EXPECT_EQ(count<Allow>(actions), 0U);
  EXPECT_EQ(sent<wire::Applied>(actions).size(), 1U);
}

TEST_F(AgentStateTest, asks_when_a_commit_names_what_it_never_prepared) {
  join();
  EXPECT_EQ(count<Allow>(receive(commit_of(1, 1, 1))), 0U);
  EXPECT_EQ(sent<wire::Hello>(tick()).size(), 1U);
  const auto actions = receive(wire::Snapshot{{1, 1}, sample_placement(1)});
  EXPECT_EQ(count<Load>(actions), 1U);
  EXPECT_EQ(count<Allow>(actions), 1U);
  EXPECT_EQ(agent_.committed()->stamp.epoch, 1U);
}

TEST_F(AgentStateTest, asks_when_an_acknowledgement_shows_a_missed_commit_or_broadcasts_were_lost) {
  join();
  static_cast<void>(receive(wire::ReportAck{{1, 1}, 7, 1, 0}));
  EXPECT_EQ(sent<wire::Hello>(tick()).size(), 1U);
  static_cast<void>(receive(wire::Snapshot{{1, 0}, sample_placement()}));
  static_cast<void>(agent_.on_gap(kStart));
  EXPECT_EQ(sent<wire::Hello>(tick()).size(), 1U);
}

TEST_F(AgentStateTest, keeps_its_placement_and_asks_when_contact_is_lost) {
  make_ready();
  const auto actions = tick(milliseconds(3001));
  EXPECT_EQ(sent<wire::Hello>(actions).size(), 1U);
  EXPECT_EQ(agent_.counters().contacts_lost, 1U);
  EXPECT_EQ(agent_.running()->epoch, 0U);
  EXPECT_TRUE(agent_.prepared());
}

TEST_F(AgentStateTest, does_not_lose_contact_between_two_of_its_reports_however_far_apart_they_are) {
  agent_.set_intervals(milliseconds(60'000), milliseconds(3'000));
  join();
  EXPECT_TRUE(tick(milliseconds(180'000)).empty());
  EXPECT_EQ(agent_.counters().contacts_lost, 0U);
  EXPECT_EQ(sent<wire::Hello>(tick(milliseconds(180'001))).size(), 1U);
}

TEST_F(AgentStateTest, counts_a_dropped_message_once_the_rebalancer_answers_and_was_not_away_meanwhile) {
  const auto refused = [](wire::RefusalReason reason) {
    return wire::Refusal{reason, "report", std::nullopt, {1, 0}, ""};
  };
  agent_.on_dropped();
  join();
  EXPECT_EQ(agent_.counters().sends_dropped, 0U) << "nobody was there";
  agent_.on_dropped();
  static_cast<void>(receive(wire::ReportAck{{1, 0}, 7, 1, 0}));
  EXPECT_EQ(agent_.counters().sends_dropped, 1U);
  agent_.on_dropped();
  static_cast<void>(receive(refused(wire::RefusalReason::kUnknownAgent)));
  static_cast<void>(receive(wire::Snapshot{{2, 0}, sample_placement()}));
  EXPECT_EQ(agent_.counters().sends_dropped, 1U) << "it had started anew";
  agent_.on_dropped();
  static_cast<void>(tick(milliseconds(3001)));
  static_cast<void>(receive(wire::Snapshot{{2, 0}, sample_placement()}));
  EXPECT_EQ(agent_.counters().sends_dropped, 1U) << "contact was lost";
}

TEST_F(AgentStateTest, drops_what_a_dead_leader_prepared_when_the_next_one_did_not_commit_it) {
  make_ready();
  const auto actions = receive(wire::Snapshot{{2, 0}, sample_placement()});
  EXPECT_EQ(count<Discard>(actions), 1U);
  EXPECT_FALSE(agent_.prepared());
  EXPECT_EQ(agent_.committed()->stamp, (wire::Stamp{2, 0}));
}

TEST_F(AgentStateTest, takes_over_what_a_dead_leader_prepared_when_it_was_committed) {
  make_ready();
  const auto actions = receive(wire::Snapshot{{2, 1}, sample_placement(1)});
  EXPECT_EQ(count<Allow>(actions), 1U);
  EXPECT_EQ(count<Load>(actions), 0U) << "it is loaded";
  EXPECT_EQ(count<Discard>(actions), 0U);
  EXPECT_FALSE(agent_.prepared());
}

TEST_F(AgentStateTest, forgets_an_aborted_epoch_and_takes_the_next) {
  make_ready();
  EXPECT_EQ(count<Discard>(receive(wire::Abort{{1, 1}, "late"})), 1U);
  EXPECT_EQ(count<Load>(receive(prepare_of(1, 2, 0, 2))), 1U);
  EXPECT_TRUE(tick().empty()) << "the worker still shows that it has loaded epoch 1";
}

TEST_F(AgentStateTest, replaces_a_prepared_epoch_whose_abort_was_lost) {
  make_ready();
  const auto actions = receive(prepare_of(1, 2, 0, 2));
  EXPECT_EQ(count<Discard>(actions), 1U);
  EXPECT_EQ(count<Load>(actions), 1U);
}

TEST_F(AgentStateTest, refuses_a_map_of_another_model) {
  AgentOptions other = options();
  other.shape.layer_ids = {1, 3};
  AgentState agent(other, kStart);
  const auto refusals = sent<wire::Refusal>(agent.on_message(wire::Snapshot{{1, 0}, sample_placement()}, kStart));
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals.front().reason, wire::RefusalReason::kShapeMismatch);
  EXPECT_FALSE(agent.committed());
}

TEST_F(AgentStateTest, says_hello_to_a_rebalancer_that_does_not_know_it) {
  join();
  static_cast<void>(receive(wire::Refusal{wire::RefusalReason::kUnknownAgent, "report", std::nullopt, {2, 0}, ""}));
  EXPECT_EQ(sent<wire::Hello>(tick()).size(), 1U);
}

TEST_F(AgentStateTest, falls_silent_when_a_newer_incarnation_has_replaced_it) {
  join();
  const auto actions =
      receive(wire::Refusal{wire::RefusalReason::kStaleIncarnation, "report", std::nullopt, {1, 0}, ""});
  ASSERT_EQ(count<wire::Note>(actions), 2U);
  const auto& note = std::get<wire::Note>(actions.back());
  EXPECT_EQ(note.event, "worker_fenced");
  for (const char* cause : {"another host", "--name", "clock"}) {
    EXPECT_NE(std::get<std::string>(note.fields.at(0).second).find(cause), std::string::npos) << cause;
  }
  EXPECT_TRUE(agent_.fenced());
  EXPECT_TRUE(tick(milliseconds(10'000)).empty());
  EXPECT_FALSE(agent_.is_report_due(kStart + milliseconds(10'000), worker_));
  EXPECT_TRUE(receive(commit_of(9, 9, 1)).empty());
}

TEST_F(AgentStateTest, ignores_messages_that_only_agents_send) {
  join();
  EXPECT_TRUE(receive(wire::Ready{{1, 1}, 7}).empty());
  EXPECT_EQ(agent_.counters().messages_unexpected, 1U);
}

}  // namespace
}  // namespace evenkeel::agent::agent_state_test
