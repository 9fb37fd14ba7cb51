#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rebalancer/core/actions.h"
#include "rebalancer/core/agent_registry.h"
#include "tests/rebalancer/core_fixture.h"

namespace evenkeel::rebalancer {

/// What parts of the core are driven with, without a Core: agents "w0", "w1", ... of the model of core_fixture.h, a
/// clock that only the test moves, and an outbox.
class CorePartsTest : public testing::Test {
 protected:
  explicit CorePartsTest(std::uint32_t world = 2)
      : registry_({.agents_expected = world, .count_limits = {}, .lease = milliseconds(60'000)}, false) {
    out_.set_model("model");
  }

  static std::string name(std::uint32_t rank) { return "w" + std::to_string(rank); }
  static Placement contiguous() { return *contiguous_placement({0, 3}, 4, 0, 2, 1); }

  void join_all() {
    for (std::uint32_t rank = 0; rank < registry_.world(); ++rank) join(rank);
  }
  /// The agent counts as one that has switched to `epoch`.
  void join(std::uint32_t rank, std::uint64_t epoch = 0) {
    wire::Hello hello = hello_of(rank);
    hello.world = registry_.world();
    EXPECT_FALSE(registry_.join(name(rank), name(rank), hello, now_));
    agent(rank).epoch_applied = epoch;
  }
  Agent& agent(std::uint32_t rank) { return *registry_.find(name(rank), name(rank), 1); }
  void hear_all() {
    for (auto& [worker, agent] : registry_.agents()) agent.heard_at = now_;
  }

  TimePoint now_{};
  AgentRegistry registry_;
  Outbox out_;
};

}  // namespace evenkeel::rebalancer
