#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agents/wire/message.h"
#include "partition/foundation/grid.h"
#include "partition/model/stage_load.h"
#include "rebalancer/core/core_options.h"
#include "rebalancer/core/journal_record.h"
#include "rebalancer/core/window_counts.h"

namespace evenkeel::rebalancer {

using TimePoint = std::chrono::steady_clock::time_point;

/// Newest counts of a worker's newest incarnation.
struct Counted {
  std::uint64_t incarnation = 0;
  /// Newest report of this incarnation; 0 before the first.
  std::uint64_t report_sequence = 0;
  /// Of all stages.
  std::uint64_t tokens = 0;
  /// By index_of() their stage.
  std::array<std::optional<StageLoad>, kAllStages.size()> counts;
};

/// What the rebalancer knows of one worker.
struct Agent : Counted {
  /// Where to answer: the routing id of its connection. Never an identity.
  std::string peer;
  std::uint32_t rank = 0;
  bool is_observer = false;
  TimePoint heard_at;
  TimePoint reported_at;
  /// The report that the journal was told of last.
  std::uint64_t kept_sequence = 0;
  /// Newest batch of token paths of this incarnation; 0 before the first.
  std::uint64_t path_sequence = 0;
  /// As its last report had them.
  wire::Losses losses;
  /// Since this process knows it, over all incarnations; and of this one.
  std::uint64_t steps = 0;
  std::uint64_t steps_of_incarnation = 0;
  /// What it counted before this process began to look belongs to no window.
  bool has_history = false;
  WindowCounts open_windows;
  /// Windows that this incarnation has completed, and those of the group that were over when it began.
  std::uint64_t window = 0;
  std::uint64_t windows_before = 0;
  [[nodiscard]] std::uint64_t windows() const { return windows_before + window; }
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

/// How far all ranks have come, distrusted agents left aside: nowhere before each has an agent that has reported.
struct Progress {
  /// Of the rank that has completed the fewest; and the least steps of any.
  std::uint64_t windows = 0;
  std::uint64_t steps = 0;
  /// The oldest of their newest reports.
  std::optional<TimePoint> reported_at;
  /// Some worker says when windows end, be the others there or not.
  bool has_window_tags = false;
};

/// What a closed window holds.
struct ClosedWindow {
  /// By stage.
  std::vector<StageLoad> sum;
  /// Of each worker that counted anything, all stages [layers, experts].
  std::map<std::string, Grid<std::uint64_t>> load_of_worker;
};

/// What became of a report.
enum class Intake { kAccepted, kStale, kShrinking, kImplausible, kWrongShape };

/// The agents of one EP group, the exact sum of what they counted, and what of it belongs to which window. Pure. One
/// place a rank, so at most `world` agents; and observers, which count and for which nobody waits. Not thread-safe.
class AgentRegistry {
 public:
  /// `has_history`: agents may have counted for long before this process began, after a restart of it.
  /// `totals`: what the journal was told of their counts, all tables of one shape.
  AgentRegistry(const RegistryOptions& options, bool has_history, std::span<const TotalRecord> totals = {});

  /// Takes another lease, at once; all else stays.
  void reconfigure(const RegistryOptions& options) { options_.lease = options.lease; }

  /// Takes a HELLO: a new worker, a new connection of a known one, or a new incarnation, which replaces the older.
  /// A rank whose holder is absent may pass to another worker. Returns why not, if not.
  [[nodiscard]] std::optional<wire::Refusal> join(const std::string& peer, const std::string& worker,
                                                  const wire::Hello& hello, TimePoint now);

  /// The agent or observer that says `worker` over `peer` under this incarnation, or null.
  [[nodiscard]] Agent* find(const std::string& peer, const std::string& worker, std::uint64_t incarnation);
  /// Whether `worker` is one of them, and speaks over `peer`.
  [[nodiscard]] bool has(const std::string& peer, const std::string& worker) const;
  [[nodiscard]] bool is_superseded(const std::string& worker, std::uint64_t incarnation) const;

  /// Adds what a report counts beyond the last one. Nothing is ever counted twice. A report that counts less than an
  /// earlier one, or more than there can be, changes nothing and makes the agent distrusted. What is new belongs to the
  /// window the agent was in, or to `first_open` where that is closed. An incarnation that begins in a group under way
  /// begins with `first_open`, whatever number its own windows have.
  [[nodiscard]] Intake take(Agent& agent, const wire::Report& report, std::uint64_t first_open, TimePoint now);

  /// Has what this agent has counted kept: it was its last report.
  void keep(const std::string& worker, Agent& agent);
  /// Has what silent agents have counted kept, a few at a time: they may never come back.
  void keep_silent(TimePoint now);
  /// What has to be in the journal, and is not yet, in the order to write it: counts of workers that have ended, been
  /// replaced or fallen silent. All others tell theirs again.
  [[nodiscard]] std::vector<TotalRecord> take_records();

  /// Cost: a pass over the agents.
  [[nodiscard]] Progress progress() const;
  /// Counts of all trusted agents up to and with this window, which is closed by that; limit_workers() of them.
  [[nodiscard]] ClosedWindow close(std::uint64_t window);

  /// Heard from within the lease.
  [[nodiscard]] bool is_present(const Agent& agent, TimePoint now) const {
    return now - agent.heard_at <= options_.lease;
  }
  /// All ranks have an agent, and each is present.
  [[nodiscard]] bool is_complete(TimePoint now) const;
  /// All agents have said that they route with this epoch.
  [[nodiscard]] bool has_all_on(std::uint64_t epoch) const;

  /// By worker name; ordered, so that actions have one order.
  [[nodiscard]] std::map<std::string, Agent>& agents() { return agents_; }
  [[nodiscard]] const std::map<std::string, Agent>& agents() const { return agents_; }
  [[nodiscard]] const std::map<std::string, Agent>& observers() const { return observers_; }
  [[nodiscard]] std::uint32_t world() const { return options_.agents_expected; }
  /// Everything reported, over all agents and incarnations [layers, experts].
  [[nodiscard]] const Grid<std::uint64_t>& load_tokens() const { return total_.load_tokens; }
  [[nodiscard]] std::uint64_t tokens() const { return total_.tokens; }

 private:
  [[nodiscard]] Intake judge(const Agent& agent, const wire::Report& report, TimePoint now) const;
  [[nodiscard]] bool is_plausible(const Agent& agent, const wire::Report& report, TimePoint now) const;

  /// Why a HELLO cannot have the place it asks for; makes room where the holder of its rank is absent.
  [[nodiscard]] std::optional<wire::Refusal> reason_to_refuse(const std::string& worker, const wire::Hello& hello,
                                                              TimePoint now);
  [[nodiscard]] const Agent* find(const std::string& worker) const;
  /// The past of a worker that is not among the agents, which ends with that.
  [[nodiscard]] Counted take_past(const std::string& worker);
  /// What it counted joins ended_; of the worker, `incarnation` alone is kept, 0 to forget it.
  void end_incarnation(const std::string& worker, const Counted& counted, std::uint64_t incarnation);
  void record(const std::string& worker, const Counted& counted);
  void forget_oldest_past();

  RegistryOptions options_;
  bool has_history_;
  std::map<std::string, Agent> agents_;
  std::map<std::string, Agent> observers_;
  /// Workers that are not there now: of the journal, or whose rank has passed to another.
  std::map<std::string, Counted> past_;
  /// All stages in one; and of that, what incarnations that have ended counted.
  StageLoad total_;
  StageLoad ended_;
  std::vector<TotalRecord> records_;
};

}  // namespace evenkeel::rebalancer
