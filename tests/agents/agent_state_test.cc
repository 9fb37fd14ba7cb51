#include "agents/agent/agent_state.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agents/wire_samples.h"

namespace evenkeel::agent {
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

const Counts kCounts{.tokens = 5, .load_tokens = Grid<std::uint64_t>(2, 4, 5)};

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

/// An agent in term 1 that holds epoch 0.
AgentState joined() {
  AgentState agent(options(), kStart);
  EXPECT_EQ(count<Apply>(agent.on_message(wire::Snapshot{{1, 0}, sample_placement()}, kStart)), 1U);
  return agent;
}

/// As joined(), with (1, 1) prepared and loaded.
AgentState ready() {
  AgentState agent = joined();
  static_cast<void>(agent.on_message(wire::Prepare{{1, 1}, 0, 1000, sample_placement(1), {}, 0}, kStart));
  EXPECT_EQ(sent<wire::Ready>(agent.loaded({1, 1})).size(), 1U);
  return agent;
}

wire::Commit commit_of(std::uint64_t term, std::uint64_t epoch, ExpertIndex first) {
  return {{term, epoch}, wire::digest(sample_placement(first))};
}

TEST(AgentState, says_hello_with_growing_waits_until_a_snapshot_comes) {
  AgentState agent(options(), kStart);
  EXPECT_EQ(sent<wire::Hello>(agent.tick(kStart, kCounts)).size(), 1U);
  EXPECT_TRUE(agent.tick(kStart + milliseconds(199), kCounts).empty());
  EXPECT_EQ(sent<wire::Hello>(agent.tick(kStart + milliseconds(200), kCounts)).size(), 1U);
  EXPECT_TRUE(agent.tick(kStart + milliseconds(599), kCounts).empty());
  EXPECT_EQ(sent<wire::Hello>(agent.tick(kStart + milliseconds(600), kCounts)).size(), 1U);
  static_cast<void>(agent.on_message(wire::Snapshot{{1, 0}, sample_placement()}, kStart + milliseconds(601)));
  const auto actions = agent.tick(kStart + milliseconds(700), kCounts);
  EXPECT_TRUE(sent<wire::Hello>(actions).empty());
  ASSERT_EQ(sent<wire::Report>(actions).size(), 1U);
  EXPECT_EQ(sent<wire::Report>(actions).front().stages.front().tokens, 5U);
}

TEST(AgentState, migrates_in_the_order_prepare_ready_commit_applied) {
  AgentState agent = joined();
  const auto prepared = agent.on_message(wire::Prepare{{1, 1}, 0, 1000, sample_placement(1), {}, 0}, kStart);
  EXPECT_EQ(count<Load>(prepared), 1U);
  EXPECT_TRUE(sent<wire::Ready>(prepared).empty());
  EXPECT_EQ(agent.committed()->stamp.epoch, 0U);
  EXPECT_EQ(sent<wire::Ready>(agent.loaded({1, 1})).size(), 1U);
  EXPECT_EQ(agent.committed()->stamp.epoch, 0U);
  const auto committed = agent.on_message(commit_of(1, 1, 1), kStart);
  EXPECT_EQ(count<Apply>(committed), 1U);
  EXPECT_EQ(sent<wire::Applied>(committed).size(), 1U);
  EXPECT_EQ(agent.committed()->placement, sample_placement(1));
}

TEST(AgentState, applies_a_repeated_commit_once_and_acknowledges_it_again) {
  AgentState agent = ready();
  static_cast<void>(agent.on_message(commit_of(1, 1, 1), kStart));
  const auto again = agent.on_message(commit_of(1, 1, 1), kStart);
  EXPECT_EQ(count<Apply>(again), 0U);
  EXPECT_EQ(sent<wire::Applied>(again).size(), 1U);
  EXPECT_EQ(agent.counters().epochs_applied, 2U);
}

TEST(AgentState, answers_a_repeated_prepare_without_loading_again) {
  AgentState agent = ready();
  const auto again = agent.on_message(wire::Prepare{{1, 1}, 0, 500, sample_placement(1), {}, 0}, kStart);
  EXPECT_EQ(count<Load>(again), 0U);
  EXPECT_EQ(sent<wire::Ready>(again).size(), 1U);
}

TEST(AgentState, refuses_a_lower_term) {
  AgentState agent(options(), kStart);
  static_cast<void>(agent.on_message(wire::Snapshot{{5, 2}, sample_placement()}, kStart));
  for (const wire::Message& message : {wire::Message(wire::Snapshot{{4, 9}, sample_placement(1)}),
                                       wire::Message(wire::Prepare{{4, 9}, 2, 1000, sample_placement(1), {}, 0}),
                                       wire::Message(commit_of(4, 9, 1)), wire::Message(wire::Abort{{4, 9}, ""})}) {
    const auto refusals = sent<wire::Refusal>(agent.on_message(message, kStart));
    ASSERT_EQ(refusals.size(), 1U) << wire::type_name(message);
    EXPECT_EQ(refusals.front().reason, wire::RefusalReason::kStaleStamp);
    EXPECT_EQ(refusals.front().known, (wire::Stamp{5, 2}));
  }
  EXPECT_EQ(agent.committed()->stamp, (wire::Stamp{5, 2}));
}

TEST(AgentState, refuses_a_lower_epoch_and_another_map_under_a_known_stamp) {
  AgentState agent = ready();
  static_cast<void>(agent.on_message(commit_of(1, 1, 1), kStart));
  EXPECT_EQ(sent<wire::Refusal>(agent.on_message(commit_of(1, 0, 0), kStart)).size(), 1U);
  EXPECT_EQ(sent<wire::Refusal>(agent.on_message(wire::Snapshot{{2, 0}, sample_placement()}, kStart)).size(), 1U);
  const auto conflict = sent<wire::Refusal>(agent.on_message(commit_of(2, 1, 3), kStart));
  ASSERT_EQ(conflict.size(), 1U);
  EXPECT_EQ(conflict.front().reason, wire::RefusalReason::kConflict);
  EXPECT_EQ(agent.committed()->placement, sample_placement(1));
}

TEST(AgentState, asks_when_a_commit_names_what_it_never_prepared) {
  AgentState agent = joined();
  EXPECT_EQ(count<Apply>(agent.on_message(commit_of(1, 1, 1), kStart)), 0U);
  EXPECT_EQ(sent<wire::Hello>(agent.tick(kStart, kCounts)).size(), 1U);
  static_cast<void>(agent.on_message(wire::Snapshot{{1, 1}, sample_placement(1)}, kStart));
  EXPECT_EQ(agent.committed()->stamp.epoch, 1U);
}

TEST(AgentState, asks_when_an_acknowledgement_shows_a_missed_commit_or_broadcasts_were_lost) {
  AgentState agent = joined();
  static_cast<void>(agent.on_message(wire::ReportAck{{1, 1}, 7, 1, 0}, kStart));
  EXPECT_EQ(sent<wire::Hello>(agent.tick(kStart, kCounts)).size(), 1U);
  AgentState other = joined();
  static_cast<void>(other.on_gap(kStart));
  EXPECT_EQ(sent<wire::Hello>(other.tick(kStart, kCounts)).size(), 1U);
}

TEST(AgentState, keeps_its_placement_and_asks_when_contact_is_lost) {
  AgentState agent = ready();
  const auto actions = agent.tick(kStart + milliseconds(3001), kCounts);
  EXPECT_EQ(sent<wire::Hello>(actions).size(), 1U);
  EXPECT_EQ(agent.counters().contacts_lost, 1U);
  EXPECT_EQ(agent.committed()->stamp.epoch, 0U);
  EXPECT_TRUE(agent.prepared());
}

TEST(AgentState, drops_what_a_dead_leader_prepared_when_the_next_one_did_not_commit_it) {
  AgentState agent = ready();
  const auto actions = agent.on_message(wire::Snapshot{{2, 0}, sample_placement()}, kStart);
  EXPECT_EQ(count<Discard>(actions), 1U);
  EXPECT_FALSE(agent.prepared());
  EXPECT_EQ(agent.committed()->stamp, (wire::Stamp{2, 0}));
}

TEST(AgentState, takes_over_what_a_dead_leader_prepared_when_it_was_committed) {
  AgentState agent = ready();
  const auto actions = agent.on_message(wire::Snapshot{{2, 1}, sample_placement(1)}, kStart);
  EXPECT_EQ(count<Apply>(actions), 1U);
  EXPECT_EQ(count<Discard>(actions), 0U);
  EXPECT_FALSE(agent.prepared());
}

TEST(AgentState, forgets_an_aborted_epoch_and_takes_the_next) {
  AgentState agent = ready();
  EXPECT_EQ(count<Discard>(agent.on_message(wire::Abort{{1, 1}, "late"}, kStart)), 1U);
  EXPECT_TRUE(agent.loaded({1, 1}).empty());
  EXPECT_EQ(count<Load>(agent.on_message(wire::Prepare{{1, 2}, 0, 1000, sample_placement(2), {}, 0}, kStart)), 1U);
}

TEST(AgentState, replaces_a_prepared_epoch_whose_abort_was_lost) {
  AgentState agent = ready();
  const auto actions = agent.on_message(wire::Prepare{{1, 2}, 0, 1000, sample_placement(2), {}, 0}, kStart);
  EXPECT_EQ(count<Discard>(actions), 1U);
  EXPECT_EQ(count<Load>(actions), 1U);
}

TEST(AgentState, refuses_a_map_of_another_model) {
  AgentOptions other = options();
  other.shape.layer_ids = {1, 3};
  AgentState agent(other, kStart);
  const auto refusals = sent<wire::Refusal>(agent.on_message(wire::Snapshot{{1, 0}, sample_placement()}, kStart));
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_EQ(refusals.front().reason, wire::RefusalReason::kShapeMismatch);
  EXPECT_FALSE(agent.committed());
}

TEST(AgentState, says_hello_to_a_rebalancer_that_does_not_know_it) {
  AgentState agent = joined();
  static_cast<void>(agent.on_message(wire::Refusal{wire::RefusalReason::kUnknownAgent, "report", {2, 0}, ""}, kStart));
  EXPECT_EQ(sent<wire::Hello>(agent.tick(kStart, kCounts)).size(), 1U);
}

TEST(AgentState, falls_silent_when_a_newer_incarnation_has_replaced_it) {
  AgentState agent = joined();
  static_cast<void>(
      agent.on_message(wire::Refusal{wire::RefusalReason::kStaleIncarnation, "report", {1, 0}, ""}, kStart));
  EXPECT_TRUE(agent.fenced());
  EXPECT_TRUE(agent.tick(kStart + milliseconds(10'000), kCounts).empty());
  EXPECT_TRUE(agent.on_message(commit_of(9, 9, 1), kStart).empty());
}

TEST(AgentState, ignores_messages_that_only_agents_send) {
  AgentState agent = joined();
  EXPECT_TRUE(agent.on_message(wire::Ready{{1, 1}, 7}, kStart).empty());
  EXPECT_EQ(agent.counters().messages_unexpected, 1U);
}

}  // namespace
}  // namespace evenkeel::agent
