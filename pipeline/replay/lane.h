#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "partition/adaptive/policy.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/place.h"
#include "pipeline/replay/replay_window.h"

namespace evenkeel {

/// What a day is replayed with.
struct ReplayOptions {
  /// Cluster, step-time model, steps of a window, stall, spare buffers and the rules of evenkeel's own decisions.
  PolicyOptions policy;
  Comm comm = Comm::kDispatch;
  std::size_t redundant = 0;
  /// As ProblemOptions::groups.
  std::size_t groups = 1;
  /// As ProblemOptions::load_slack_ratio, of plans on token paths; absent: the modelled step decides under dispatch.
  std::optional<double> slack_ratio = std::nullopt;
  /// What serves the first window; absent: the contiguous placement.
  std::optional<Placement> start = std::nullopt;
  /// Of each plan, so that every machine replays the same.
  std::uint64_t work_units = 3'000'000;
  std::uint64_t seed = 1;
};

/// What changes the placement from window to window. Windows are as WindowTaker has them.
class Rebalancing {
 public:
  virtual ~Rebalancing() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  /// A placement that serves this very window and costs nothing: hindsight.
  [[nodiscard]] virtual Result<std::optional<Placement>> before(const RoutingProfile& /*window*/) {
    return std::optional<Placement>();
  }
  /// The placement that serves from the next window on, where it is another. It is moved to, and that costs.
  [[nodiscard]] virtual Result<std::optional<Placement>> after(const RoutingProfile& /*window*/,
                                                               const Placement& /*running*/) {
    return std::optional<Placement>();
  }
  /// Why it did what it did after the last window; empty where it has nothing to say.
  [[nodiscard]] virtual std::string reason() const { return ""; }
  /// How often its planner found no placement in its budget.
  [[nodiscard]] virtual std::size_t plans_missed() const { return 0; }
};

/// A policy by its name: never, every:N, every:N:STRATEGY, evenkeel or oracle. Fails with kInvalidInput.
[[nodiscard]] Result<std::unique_ptr<Rebalancing>> make_rebalancing(const std::string& name,
                                                                    const ReplayOptions& options);

/// What one window came to.
struct ServedWindow {
  double imbalance = 0;
  double step_seconds = 0;
};

/// A change of placement that moved slots.
struct ReplayEpoch {
  /// Index of the window after which it came.
  std::size_t window = 0;
  std::string reason;
  std::size_t moves = 0;
  double stall_seconds = 0;
};

/// What a day came to under one policy. Seconds are modelled.
struct LaneResult {
  std::string policy;
  std::vector<ServedWindow> windows;
  std::vector<ReplayEpoch> epochs;
  std::size_t moves = 0;
  double moved_bytes = 0;
  /// Plans that were not found in their budget.
  std::size_t plans_missed = 0;
  /// Serving time, and serving time lost to migrations.
  double serving_seconds = 0;
  double stall_seconds = 0;
  /// Of the busiest GPU in a step, mean over windows; absent without token paths.
  std::optional<double> busiest_gpu_bytes;
  /// What served the first window and the last.
  std::optional<Placement> first, last;

  [[nodiscard]] double seconds() const { return serving_seconds + stall_seconds; }
  [[nodiscard]] double imbalance_mean() const;
  [[nodiscard]] double step_seconds_mean() const;
  /// The step time that at most one window in a hundred is above: of fewer windows the longest.
  [[nodiscard]] double step_seconds_tail() const;
  /// Tokens a second, migrations included.
  [[nodiscard]] double throughput(const PolicyOptions& options) const;
};

/// A day under one policy, window after window. Memory: three placements, and two numbers a window.
class Lane {
 public:
  Lane(std::unique_ptr<Rebalancing> rebalancing, const ReplayOptions& options);

  [[nodiscard]] Status serve(const RoutingProfile& window);
  [[nodiscard]] LaneResult take() && { return std::move(result_); }

 private:
  [[nodiscard]] Status migrate(const Placement& next);

  std::unique_ptr<Rebalancing> rebalancing_;
  const ReplayOptions& options_;
  std::optional<Placement> running_;
  /// What is to serve from the next window on. After the last nothing is moved.
  std::optional<Placement> next_;
  LaneResult result_;
  double traffic_bytes_ = 0;
};

}  // namespace evenkeel
