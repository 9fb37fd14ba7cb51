#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace evenkeel {

/// A change of placement in the course of a policy.
struct PolicyEpoch {
  /// The first window served with it.
  std::size_t window = 0;
  /// Why it was adopted, one sentence.
  std::string reason;
  std::size_t moves = 0;
  double stall_seconds = 0;
};

/// What a policy came to over all windows.
struct PolicyTotals {
  double throughput_tokens_per_s = 0;
  double step_time_seconds = 0;
  double imbalance_mean = 0;
  std::size_t moves = 0;
  double moved_bytes = 0;
  double stall_seconds = 0;
};

/// A policy, window by window. Reports give "never", "evenkeel" and "oracle" looks of their own.
struct PolicySeries {
  std::string policy;
  PolicyTotals totals;
  /// Mean over layers of the largest over the mean GPU load [windows].
  std::vector<double> imbalance;
  /// Modelled [windows].
  std::vector<double> step_time_seconds;
  std::vector<PolicyEpoch> epochs;
};

/// How policies fare over the same windows.
struct ReportTimeline {
  std::vector<PolicySeries> policies;
};

/// Most points of a line of the report; of more windows the mean of neighbours is shown.
inline constexpr std::size_t kTimelinePointsMax = 600;
/// Most changes of placement that a policy is shown with; of more every n-th is.
inline constexpr std::size_t kTimelineEpochsMax = 200;

/// The part "timeline" of the report's data (docs/reference/report.md). Pure.
[[nodiscard]] nlohmann::ordered_json timeline_json(const ReportTimeline& timeline);

}  // namespace evenkeel
