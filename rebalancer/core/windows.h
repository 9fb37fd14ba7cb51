#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "partition/adaptive/policy.h"
#include "partition/foundation/grid.h"
#include "partition/model/stage_load.h"
#include "rebalancer/core/actions.h"
#include "rebalancer/core/adopted_plan.h"
#include "rebalancer/core/agent_registry.h"
#include "rebalancer/core/core_options.h"
#include "rebalancer/core/counters.h"
#include "rebalancer/core/events.h"
#include "rebalancer/core/recovery.h"

namespace evenkeel::rebalancer {

/// What windows are closed and plans are judged under, at one event.
struct Surroundings {
  AgentRegistry& registry;
  const Committed& running;
  std::uint64_t term = 1;
  /// An operator wants nothing to be planned.
  bool is_held = false;
  TimePoint now;
};

/// From counts to a decision: closes the windows that all workers have completed, asks for a plan where one may be
/// worth it, and adopts the plan or keeps what runs. One decision at a time: while a plan is made or an adopted one is
/// carried out, no window closes. Pure. Not thread-safe. Cost: a pass over the agents a call; a closed window, a pass
/// over its counts; a plan, two maps measured on them, and again without each worker.
class Windows {
 public:
  /// `is_resuming`: agents may have counted for long before this process began. Windows that ended before are nobody's
  /// to decide about; the first reports tell which those are.
  Windows(const WindowOptions& options, bool is_resuming)
      : options_(options), policy_(options.policy), is_resuming_(is_resuming) {}

  /// Takes in loads known from before, such as a stored profile's.
  void prime(const std::vector<StageLoad>& loads) { policy_.prime(loads); }

  /// To be called whenever counts or time have moved.
  void close_complete(const Surroundings& around, Outbox& out);

  /// Whether this is the plan asked for last, and still waited for.
  [[nodiscard]] bool awaits(std::uint64_t plan) const { return planning_ && planning_->plan == plan; }
  /// Decides about the plan that is awaited. Where it is adopted, finish() has to follow once it is carried out or
  /// given up; where it is not, the window is decided.
  [[nodiscard]] std::optional<AdoptedPlan> judge(const PlanReady& plan, const Surroundings& around, Outbox& out);
  /// All closed windows are decided; workers that wait for it hear so. `running`: of the epoch that runs now.
  void finish(const AgentRegistry& registry, wire::Stamp running, Outbox& out);
  /// A report is taken in. Windows are told by the agent's own numbers.
  void acknowledge(const Agent& agent, std::uint64_t sequence, wire::Stamp running, Outbox& out) const;

  /// The next window is planned for, and ends as soon as all have reported, whatever its steps, the interval and the
  /// new tokens are.
  void trigger() { policy_.trigger(); }
  void reconfigure(const WindowOptions& options);

  [[nodiscard]] bool is_planning() const { return planning_.has_value(); }
  /// The number of the first window that is not closed.
  [[nodiscard]] std::uint64_t first_open() const { return closed_.windows; }
  [[nodiscard]] std::uint64_t decided_windows() const { return decided_windows_; }
  /// The newest decision; none before the first.
  [[nodiscard]] const std::optional<DecisionRecord>& decided() const { return decided_; }
  [[nodiscard]] const Policy& policy() const { return policy_; }
  [[nodiscard]] const WindowCounters& counters() const { return counters_; }

 private:
  /// How far all had come when a window was closed last.
  struct Closed {
    std::uint64_t windows = 0;
    std::uint64_t steps = 0;
    std::uint64_t tokens = 0;
    TimePoint at = TimePoint::min();
  };
  /// When a plan was asked for last.
  struct Asked {
    std::uint64_t plans = 0;
    std::uint64_t tokens = 0;
    std::optional<TimePoint> at;
  };
  /// The plan that is waited for, and the window it is for: counts of all stages, and each worker's share of them.
  struct Planning {
    std::uint64_t plan = 0;
    Grid<std::uint64_t> load_tokens;
    std::map<std::string, Grid<std::uint64_t>> load_of_worker;
  };

  void resume(const Progress& all, const AgentRegistry& registry);
  [[nodiscard]] bool is_complete(const Progress& all, const Surroundings& around) const;
  void close(const Progress& all, const Surroundings& around, Outbox& out);
  [[nodiscard]] std::optional<std::string> reason_to_hold(const Progress& all, const Surroundings& around) const;
  /// Why a plan is not even judged by its gain and cost.
  [[nodiscard]] static std::optional<std::string> reason_to_reject(const PlanReady& plan, const Planning& asked,
                                                                   const Surroundings& around);
  /// The policy's decision stands: counted, told and journalled. `epochs`: of an adopted plan.
  void decide(const Surroundings& around, std::optional<double> solve_seconds, std::size_t epochs, Outbox& out);

  WindowOptions options_;
  Policy policy_;
  bool is_resuming_;
  Closed closed_;
  Asked asked_;
  std::optional<Planning> planning_;
  /// An adopted plan is being carried out.
  bool is_migrating_ = false;
  std::uint64_t decided_windows_ = 0;
  std::optional<DecisionRecord> decided_;
  WindowCounters counters_;
};

}  // namespace evenkeel::rebalancer
