#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/wire/message.h"
#include "partition/adaptive/stage_load.h"
#include "partition/model/grid.h"
#include "rebalancer/core/window_counts.h"

namespace evenkeel::rebalancer {

using TimePoint = std::chrono::steady_clock::time_point;

/// What no worker can count: a report beyond is a lie or a fault.
struct CountLimits {
  /// Tokens of one worker a second, on average since its last report. A GPU prefills some 10^5.
  double tokens_per_second_max = 1e8;
  /// Tokens of one worker a step, where it counts steps.
  std::uint64_t tokens_per_step_max = std::uint64_t{1} << 20;
};

/// What the rebalancer knows of one worker.
struct Agent {
  /// Where to answer: the routing id of its connection. Never an identity.
  std::string peer;
  std::uint64_t incarnation = 0;
  std::uint32_t rank = 0;
  TimePoint heard_at;
  /// Newest report of this incarnation; 0 before the first.
  std::uint64_t report_sequence = 0;
  TimePoint reported_at;
  /// Of all stages.
  std::uint64_t tokens = 0;
  /// Since this process knows it, over all incarnations; and of this one.
  std::uint64_t steps = 0;
  std::uint64_t steps_of_incarnation = 0;
  /// Newest counts of this incarnation, by wire::Stage.
  std::array<std::optional<wire::StageCounts>, 3> counts;
  /// What it counted before this process began to look belongs to no window.
  bool has_history = false;
  WindowCounts open_windows;
  /// Windows it has completed.
  std::uint64_t window = 0;
  /// It has reported what cannot be: until it starts anew, windows do without it.
  bool is_distrusted = false;
  /// Epoch it has said it routes with.
  std::optional<std::uint64_t> epoch_applied;
  /// It has loaded the epoch being prepared.
  bool ready = false;
  /// When to repeat what it has not acknowledged, and how long to wait after that.
  TimePoint resend_at;
  std::chrono::milliseconds resend_wait{0};
};

/// What became of a report.
enum class Intake { kAccepted, kStale, kShrinking, kImplausible, kWrongShape };

/// The agents of one EP group, the exact sum of what they counted, and what of it belongs to which window. Pure. One
/// place a rank, so at most `world` agents. Not thread-safe.
class AgentRegistry {
 public:
  /// `has_history`: agents may have counted for long before this process began, after a restart of it.
  AgentRegistry(std::uint32_t world, CountLimits limits, bool has_history)
      : world_(world), limits_(limits), has_history_(has_history) {}

  /// Takes a HELLO: a new worker, a new connection of a known one, or a new incarnation, which replaces the older.
  /// A rank whose holder has been silent for `lease` may pass to another worker. Returns why not, if not.
  [[nodiscard]] std::optional<wire::Refusal> join(const std::string& peer, const std::string& worker,
                                                  const wire::Hello& hello, TimePoint now,
                                                  std::chrono::milliseconds lease);

  /// The agent that says `worker` over `peer` under this incarnation, or null.
  [[nodiscard]] Agent* find(const std::string& peer, const std::string& worker, std::uint64_t incarnation);
  [[nodiscard]] bool is_superseded(const std::string& worker, std::uint64_t incarnation) const;

  /// Adds what a report counts beyond the last one. Nothing is ever counted twice. A report that counts less than an
  /// earlier one, or more than there can be, changes nothing and makes the agent distrusted. What is new belongs to the
  /// window the agent was in, or to `first_open` where that is closed.
  [[nodiscard]] Intake take(Agent& agent, const wire::Report& report, std::uint64_t first_open, TimePoint now);

  /// Windows that every rank has completed, distrusted ones left aside; 0 while a rank is vacant.
  [[nodiscard]] std::uint64_t windows_complete() const;
  /// Some worker says when windows end.
  [[nodiscard]] bool has_window_tags() const;
  /// The least steps of any rank, as windows_complete().
  [[nodiscard]] std::uint64_t steps_complete() const;
  /// Every rank has reported, as windows_complete().
  [[nodiscard]] bool has_reports() const;
  /// Counts of all trusted agents up to and with this window, which is closed by that: sum_of_workers().
  [[nodiscard]] std::vector<StageLoad> close(std::uint64_t window);

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
  [[nodiscard]] Intake judge(const Agent& agent, const wire::Report& report, TimePoint now) const;
  [[nodiscard]] bool is_plausible(const Agent& agent, const wire::Report& report, TimePoint now) const;

  std::uint32_t world_;
  CountLimits limits_;
  bool has_history_;
  std::map<std::string, Agent> agents_;
  Grid<std::uint64_t> load_tokens_;
  std::uint64_t tokens_ = 0;
};

}  // namespace evenkeel::rebalancer
