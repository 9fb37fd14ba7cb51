#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "agents/wire/message.h"
#include "partition/model/grid.h"
#include "partition/model/routing_profile.h"

namespace evenkeel::rebalancer {

using TimePoint = std::chrono::steady_clock::time_point;

/// What the rebalancer knows of one worker.
struct Agent {
  /// Where to answer: the routing id of its connection. Never an identity.
  std::string peer;
  std::uint64_t incarnation = 0;
  std::uint32_t rank = 0;
  TimePoint heard_at;
  /// Newest report of this incarnation; 0 before the first.
  std::uint64_t report_sequence = 0;
  std::uint64_t tokens = 0;
  Grid<std::uint64_t> load_tokens;
  /// Epoch it has said it routes with.
  std::optional<std::uint64_t> epoch_applied;
  /// It has loaded the epoch being prepared.
  bool ready = false;
  /// When to repeat what it has not acknowledged, and how long to wait after that.
  TimePoint resend_at;
  std::chrono::milliseconds resend_wait{0};
};

/// What became of a report.
enum class Intake { kAccepted, kStale, kShrinking, kWrongShape };

/// The agents of one EP group and the exact sum of what they counted. Pure. One place a rank, so at most `world`
/// agents. Not thread-safe.
class AgentRegistry {
 public:
  explicit AgentRegistry(std::uint32_t world) : world_(world) {}

  /// Takes a HELLO: a new worker, a new connection of a known one, or a new incarnation, which replaces the older.
  /// A rank whose holder has been silent for `lease` may pass to another worker. Returns why not, if not.
  [[nodiscard]] std::optional<wire::Refusal> join(const std::string& peer, const std::string& worker,
                                                  const wire::Hello& hello, TimePoint now,
                                                  std::chrono::milliseconds lease);

  /// The agent that says `worker` over `peer` under this incarnation, or null.
  [[nodiscard]] Agent* find(const std::string& peer, const std::string& worker, std::uint64_t incarnation);
  [[nodiscard]] bool is_superseded(const std::string& worker, std::uint64_t incarnation) const;

  /// Adds what a report counts beyond the last one. Nothing is ever counted twice, and a report that counts less than
  /// an earlier one changes nothing.
  [[nodiscard]] Intake take(Agent& agent, const wire::Report& report);

  /// All ranks have an agent, each heard from within `lease`.
  [[nodiscard]] bool is_complete(TimePoint now, std::chrono::milliseconds lease) const;

  /// By worker name; ordered, so that actions have one order.
  [[nodiscard]] std::map<std::string, Agent>& agents() { return agents_; }
  [[nodiscard]] const std::map<std::string, Agent>& agents() const { return agents_; }
  [[nodiscard]] std::uint32_t world() const { return world_; }
  /// Everything reported to this process, over all agents and incarnations [layers, experts].
  [[nodiscard]] const Grid<std::uint64_t>& load_tokens() const { return load_tokens_; }
  [[nodiscard]] std::uint64_t tokens() const { return tokens_; }

 private:
  std::uint32_t world_;
  std::map<std::string, Agent> agents_;
  Grid<std::uint64_t> load_tokens_;
  std::uint64_t tokens_ = 0;
};

}  // namespace evenkeel::rebalancer
