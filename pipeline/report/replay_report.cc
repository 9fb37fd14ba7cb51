#include "pipeline/report/replay_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

/// Timelines of longer days would be most of the document.
constexpr std::size_t kTimelineMax = 10'000;

const ReplayedDay& deciding_day(const std::vector<ReplayedDay>& days) {
  const auto found = std::ranges::find_if(days, [](const ReplayedDay& day) { return day.verdict.is_rebalance; });
  return found == days.end() ? days.front() : *found;
}

ordered_json lane_json(const LaneResult& lane, std::size_t redundant, const PolicyOptions& options) {
  ordered_json json{
      {"policy", lane.policy},
      {"redundant", redundant},
      {"throughput", lane.throughput(options)},
      {"step_time_seconds", lane.step_seconds_mean()},
      {"step_time_p99_seconds", lane.step_seconds_tail()},
      {"imbalance_mean", lane.imbalance_mean()},
      {"busiest_gpu_bytes", lane.busiest_gpu_bytes ? ordered_json(*lane.busiest_gpu_bytes) : ordered_json()},
      {"moves", lane.moves},
      {"migrations", lane.epochs.size()},
      {"moved_bytes", lane.moved_bytes},
      {"stall_seconds", lane.stall_seconds},
      {"serving_seconds", lane.serving_seconds},
      {"windows", lane.windows.size()}};
  json["epochs"] = ordered_json::array();
  for (const auto& [window, reason] : lane.epochs)
    json["epochs"].push_back({{"window", window}, {"moves", lane.windows[window].moves}, {"reason", reason}});
  json["imbalance_by_window"] = nullptr;
  json["step_time_by_window"] = nullptr;
  if (lane.windows.size() > kTimelineMax) return json;
  json["imbalance_by_window"] = ordered_json::array();
  json["step_time_by_window"] = ordered_json::array();
  for (const ServedWindow& window : lane.windows) {
    json["imbalance_by_window"].push_back(window.imbalance);
    json["step_time_by_window"].push_back(window.step_seconds);
  }
  return json;
}

}  // namespace

ordered_json replay_json(const std::vector<ReplayedDay>& days, const PolicyOptions& options) {
  const ReplayVerdict& verdict = deciding_day(days).verdict;
  ordered_json policies = ordered_json::array();
  for (const ReplayedDay& day : days) {
    for (const LaneResult& lane : day.lanes) policies.push_back(lane_json(lane, day.redundant, options));
  }
  return {{"schema", "evenkeel.replay/1"},
          {"verdict", verdict.is_rebalance ? "rebalance" : "keep"},
          {"reason", verdict.reason},
          {"steps_per_window", options.window_steps},
          {"batch_tokens", options.step_time.batch_tokens},
          {"spare_bytes", static_cast<double>(options.spare) * options.step_time.expert_bytes},
          {"policies", std::move(policies)}};
}

std::string replay_table(const std::vector<ReplayedDay>& days, const PolicyOptions& options) {
  Table table({"policy", "redundant", "tokens/s", "against never", "step ms", "p99 ms", "imbalance", "moves",
               "migrations", "moved GB", "stall s"});
  for (const ReplayedDay& day : days) {
    const auto never = std::ranges::find(day.lanes, "never", &LaneResult::policy);
    for (const LaneResult& lane : day.lanes) {
      table.add({lane.policy, fmt::format("{}", day.redundant), fmt::format("{:.0f}", lane.throughput(options)),
                 fmt::format("{:+.2f} %", 100 * (lane.throughput(options) / never->throughput(options) - 1)),
                 fmt::format("{:.3f}", lane.step_seconds_mean() * 1e3),
                 fmt::format("{:.3f}", lane.step_seconds_tail() * 1e3), fmt::format("{:.4f}", lane.imbalance_mean()),
                 fmt::format("{}", lane.moves), fmt::format("{}", lane.epochs.size()),
                 fmt::format("{:.1f}", lane.moved_bytes / 1e9), fmt::format("{:.3f}", lane.stall_seconds)});
    }
  }
  std::string text = table.text();
  for (const ReplayedDay& day : days) {
    const std::string prefix = days.size() == 1 ? "" : fmt::format("{} redundant: ", day.redundant);
    text += fmt::format("{}{}: {}\n", prefix, day.verdict.is_rebalance ? "rebalance" : "keep", day.verdict.reason);
  }
  return text;
}

}  // namespace evenkeel
