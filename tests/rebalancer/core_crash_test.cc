// kill -9 after every single action of a migration of two epochs, then a restart: one epoch everywhere.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer::core_crash_test {
namespace {

/// An agent that does what protocol.md says, and loads and switches at once.
struct SimpleAgent {
  std::uint32_t rank = 0;
  std::uint64_t reports = 0;
  std::uint64_t tokens = 0;
  std::optional<wire::Stamp> running;
  std::uint64_t digest = 0;
  std::optional<wire::Prepare> prepared;
  bool is_asking = true;

  std::vector<wire::Message> take(const wire::Message& message) {
    if (const auto* snapshot = std::get_if<wire::Snapshot>(&message)) return run(snapshot->stamp, snapshot->placement);
    if (const auto* prepare = std::get_if<wire::Prepare>(&message)) {
      if (!running || prepare->base_epoch != running->epoch) return {};
      prepared = *prepare;
      return {wire::Ready{prepare->stamp, 1}};
    }
    if (const auto* commit = std::get_if<wire::Commit>(&message)) {
      if (running && commit->stamp.epoch == running->epoch) return {applied()};
      if (prepared && prepared->stamp.epoch == commit->stamp.epoch) {
        return run(commit->stamp, wire::Prepare(*prepared).placement);
      }
      is_asking = true;
    }
    if (const auto* abort = std::get_if<wire::Abort>(&message)) {
      if (prepared && prepared->stamp == abort->stamp) prepared.reset();
    }
    if (std::holds_alternative<wire::Refusal>(message)) is_asking = true;
    return {};
  }

 private:
  std::vector<wire::Message> run(const wire::Stamp& stamp, const Placement& placement) {
    EXPECT_TRUE(!running || stamp.epoch >= running->epoch) << "an epoch is never taken back";
    EXPECT_TRUE(!running || stamp.epoch > running->epoch || digest == wire::digest(placement));
    running = stamp;
    digest = wire::digest(placement);
    prepared.reset();
    is_asking = false;
    return {applied()};
  }
  [[nodiscard]] wire::Message applied() const { return wire::Applied{*running, 1, digest, 0}; }
};

/// A rebalancer that may be killed after any action, its journal, and two agents.
class World : public CoreTest {
 public:
  void TestBody() override {}
  World() {
    restart_with(crash_options());
    agents_["a"].rank = 0;
    agents_["b"].rank = 1;
  }

  /// Runs until the killed rebalancer is started again and `rounds` more have passed. `crash_after`: actions.
  void run(std::size_t crash_after, int rounds) {
    actions_left_ = crash_after;
    for (int round = 0; round < rounds; ++round) {
      now_ += milliseconds(400);
      for (auto& [worker, agent] : agents_) {
        if (agent.is_asking) deliver(worker, hello_of(agent.rank));
        agent.tokens += 120;
        deliver(worker,
                report_of(++agent.reports, {agent.tokens / 2, agent.tokens / 3, agent.tokens / 12,
                                            agent.tokens - agent.tokens / 2 - agent.tokens / 3 - agent.tokens / 12}));
      }
      perform(core_.step(Tick{}, now_));
      while (!plans_.empty()) {
        const std::uint64_t plan = plans_.front();
        plans_.pop_front();
        perform(core_.step(PlanReady{"model", plan, better(), 0}, now_));
      }
      if (is_dead_) begin_again();
    }
  }

  void expect_one_epoch() {
    for (const auto& [worker, agent] : agents_) {
      ASSERT_TRUE(agent.running) << worker;
      EXPECT_EQ(agent.running->epoch, core_.running()->epoch) << worker;
      EXPECT_EQ(agent.digest, wire::digest(core_.running()->placement)) << worker;
    }
    EXPECT_EQ(core_.running()->placement, better()) << "in the end it gets there";
  }
  [[nodiscard]] bool has_crashed() const { return has_crashed_; }

 private:
  static CoreOptions crash_options() {
    CoreOptions o = options();
    o.interval_min = milliseconds(0);
    o.policy.spare = 1;
    return o;
  }

  void deliver(const std::string& worker, const wire::Message& message) {
    if (!is_dead_) perform(core_.step(Received{worker, worker, "model", message}, now_));
  }

  void perform(const Actions& actions) {
    for (const Action& action : actions) {
      if (is_dead_) return;
      if (actions_left_ == 0 && !has_crashed_) {
        is_dead_ = has_crashed_ = true;
        return;
      }
      --actions_left_;
      if (const auto* write = std::get_if<Write>(&action)) {
        journal_.insert(journal_.end(), write->records.begin(), write->records.end());
        for (const JournalRecord& record : write->records) {
          if (record.kind == RecordKind::kCommit) committed_.insert(record.stamp.epoch);
        }
      }
      if (const auto* plan = std::get_if<StartPlanning>(&action)) plans_.push_back(plan->plan);
      if (const auto* send = std::get_if<Send>(&action)) answer(send->peer, send->message);
    }
  }

  void answer(const std::string& worker, const wire::Message& message) {
    SimpleAgent& agent = agents_.at(worker);
    for (const wire::Message& said : agent.take(message)) {
      EXPECT_TRUE(committed_.contains(agent.running->epoch)) << "nobody runs what is not on the disk";
      deliver(worker, said);
    }
  }

  void begin_again() {
    is_dead_ = false;
    plans_.clear();
    restart_with(crash_options());
    for (auto& [worker, agent] : agents_) agent.is_asking = true;
  }

  std::map<std::string, SimpleAgent> agents_;
  std::set<std::uint64_t> committed_;
  std::deque<std::uint64_t> plans_;
  std::size_t actions_left_ = 0;
  bool is_dead_ = false;
  bool has_crashed_ = false;
};

TEST(CoreCrash, after_any_action_of_a_migration_ends_in_one_epoch_everywhere) {
  constexpr int kRounds = 12;
  std::size_t action = 0;
  for (bool has_crashed = true; has_crashed; ++action) {
    SCOPED_TRACE(action);
    World world;
    world.run(action, kRounds);
    has_crashed = world.has_crashed() && action < 200;
    world.expect_one_epoch();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(action, 60U) << "the run has so many actions at least";
}

}  // namespace
}  // namespace evenkeel::rebalancer::core_crash_test
