#include "pipeline/report/html_timeline.h"

#include <algorithm>
#include <numeric>

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

/// Every how many-th of `count` to take, so that at most `most` are left.
std::size_t stride_of(std::size_t count, std::size_t most) {
  return std::max<std::size_t>(1, (count + most - 1) / most);
}

/// Means of `stride` neighbours each.
std::vector<double> thinned(const std::vector<double>& values, std::size_t stride) {
  std::vector<double> means;
  for (std::size_t first = 0; first < values.size(); first += stride) {
    const std::size_t count = std::min(stride, values.size() - first);
    const auto start = values.begin() + static_cast<std::ptrdiff_t>(first);
    means.push_back(std::accumulate(start, start + static_cast<std::ptrdiff_t>(count), 0.0) /
                    static_cast<double>(count));
  }
  return means;
}

ordered_json epochs_json(const std::vector<PolicyEpoch>& epochs) {
  ordered_json list = ordered_json::array();
  const std::size_t stride = stride_of(epochs.size(), kTimelineEpochsMax);
  for (std::size_t index = 0; index < epochs.size(); index += stride) {
    const PolicyEpoch& epoch = epochs[index];
    list.push_back({{"window", epoch.window},
                    {"reason", epoch.reason},
                    {"moves", epoch.moves},
                    {"stall_seconds", epoch.stall_seconds}});
  }
  return list;
}

ordered_json totals_json(const PolicyTotals& totals) {
  return {{"throughput", totals.throughput_tokens_per_s},
          {"step_time_seconds", totals.step_time_seconds},
          {"imbalance_mean", totals.imbalance_mean},
          {"moves", totals.moves},
          {"moved_bytes", totals.moved_bytes},
          {"stall_seconds", totals.stall_seconds}};
}

}  // namespace

ordered_json timeline_json(const ReportTimeline& timeline) {
  std::size_t windows = 0;
  for (const PolicySeries& series : timeline.policies) {
    windows = std::max({windows, series.imbalance.size(), series.step_time_seconds.size()});
  }
  const std::size_t stride = stride_of(windows, kTimelinePointsMax);
  ordered_json policies = ordered_json::array();
  for (const PolicySeries& series : timeline.policies) {
    policies.push_back({{"policy", series.policy},
                        {"totals", totals_json(series.totals)},
                        {"imbalance", thinned(series.imbalance, stride)},
                        {"step_time_seconds", thinned(series.step_time_seconds, stride)},
                        {"changes", series.epochs.size()},
                        {"epochs", epochs_json(series.epochs)}});
  }
  return {{"windows", windows}, {"windows_per_point", stride}, {"policies", std::move(policies)}};
}

}  // namespace evenkeel
