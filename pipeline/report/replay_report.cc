#include "pipeline/report/replay_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>

#include "partition/cost/metrics.h"
#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

/// Timelines of longer days would be most of the document.
constexpr std::size_t kTimelineMax = 10'000;

ordered_json lane_json(const LaneResult& lane, const ReplayedDay& day, const PolicyOptions& options) {
  ordered_json json{
      {"policy", lane.policy},
      {"nodes", day.nodes},
      {"redundant", day.redundant},
      {"slack", day.slack_ratio ? ordered_json(*day.slack_ratio) : ordered_json("auto")},
      {"throughput", lane.throughput(options)},
      {"step_time_seconds", lane.step_seconds_mean()},
      {"step_time_p99_seconds", lane.step_seconds_tail()},
      {"imbalance_mean", lane.imbalance_mean()},
      {"busiest_gpu_bytes", lane.busiest_gpu_bytes ? ordered_json(*lane.busiest_gpu_bytes) : ordered_json()},
      {"moves", lane.moves},
      {"migrations", lane.epochs.size()},
      {"moved_bytes", lane.moved_bytes},
      {"plans_missed", lane.plans_missed},
      {"stall_seconds", lane.stall_seconds},
      {"serving_seconds", lane.serving_seconds},
      {"windows", lane.windows.size()}};
  json["epochs"] = ordered_json::array();
  for (const ReplayEpoch& epoch : lane.epochs) {
    json["epochs"].push_back({{"window", epoch.window},
                              {"moves", epoch.moves},
                              {"stall_seconds", epoch.stall_seconds},
                              {"reason", epoch.reason}});
  }
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

PolicySeries series_of(const LaneResult& lane, const PolicyOptions& options) {
  PolicySeries series;
  series.policy = lane.policy;
  series.totals = {lane.throughput(options), lane.step_seconds_mean(), lane.imbalance_mean(), lane.moves,
                   lane.moved_bytes,         lane.stall_seconds};
  for (const ServedWindow& window : lane.windows) {
    series.imbalance.push_back(window.imbalance);
    series.step_time_seconds.push_back(window.step_seconds);
  }
  for (const ReplayEpoch& epoch : lane.epochs)
    series.epochs.push_back({epoch.window + 1, epoch.reason, epoch.moves, epoch.stall_seconds});
  return series;
}

/// What the days differ in, as columns of a table: nodes, redundant slots and slack.
class Sweep {
 public:
  explicit Sweep(const std::vector<ReplayedDay>& days) {
    has_nodes_ = differ(days, &ReplayedDay::nodes);
    has_redundant_ = differ(days, &ReplayedDay::redundant);
    has_slack_ = differ(days, &ReplayedDay::slack_ratio);
  }

  [[nodiscard]] std::vector<std::string> columns() const {
    std::vector<std::string> names;
    if (has_nodes_) names.emplace_back("nodes");
    if (has_redundant_) names.emplace_back("redundant");
    if (has_slack_) names.emplace_back("slack");
    return names;
  }
  [[nodiscard]] std::vector<std::string> cells(const ReplayedDay& day) const {
    std::vector<std::string> cells;
    if (has_nodes_) cells.push_back(fmt::format("{}", day.nodes));
    if (has_redundant_) cells.push_back(fmt::format("{}", day.redundant));
    if (has_slack_) cells.push_back(day.slack_ratio ? fmt::format("{}", *day.slack_ratio) : "auto");
    return cells;
  }
  /// Such as "2 nodes, 32 redundant: "; empty for a single day.
  [[nodiscard]] std::string prefix(const ReplayedDay& day) const {
    std::vector<std::string> parts;
    const std::vector<std::string> names = columns(), values = cells(day);
    for (std::size_t i = 0; i < names.size(); ++i) parts.push_back(values[i] + " " + names[i]);
    return parts.empty() ? "" : fmt::format("{}: ", fmt::join(parts, ", "));
  }

 private:
  static bool differ(const std::vector<ReplayedDay>& days, auto member) {
    return std::ranges::adjacent_find(days, std::ranges::not_equal_to(), member) != days.end();
  }

  bool has_nodes_, has_redundant_, has_slack_;
};

}  // namespace

const ReplayedDay& deciding_day(const std::vector<ReplayedDay>& days) {
  const ReplayedDay* best = nullptr;
  for (const ReplayedDay& day : days) {
    if (day.verdict.is_rebalance && (best == nullptr || day.verdict.throughput > best->verdict.throughput)) best = &day;
  }
  return best == nullptr ? days.front() : *best;
}

void judge(std::vector<ReplayedDay>& days, const PolicyOptions& options) {
  for (ReplayedDay& day : days) {
    const LaneResult& never = never_of(std::ranges::find(days, day.nodes, &ReplayedDay::nodes)->lanes);
    day.never_throughput = never.throughput(options);
    day.verdict = verdict_of(day.lanes, never, options, day.unlimited ? &*day.unlimited : nullptr);
  }
}

Result<HtmlReport> replay_page(const ReplayedDay& day, const RoutingProfile& last_window, const PolicyOptions& options,
                               Comm comm) {
  HtmlReport report{.command = "replay",
                    .options = {{"gpus", options.cluster.gpus},
                                {"nodes", day.nodes},
                                {"redundant", day.redundant},
                                {"batch_tokens", options.step_time.batch_tokens},
                                {"steps_per_window", options.window_steps},
                                {"windows", day.lanes.front().windows.size()}},
                    .cluster = options.cluster,
                    .comm = comm,
                    .step_time = options.step_time,
                    .traffic = &last_window,
                    .is_held_out = true};
  report.timeline.emplace();
  for (const LaneResult& lane : day.lanes) {
    report.timeline->policies.push_back(series_of(lane, options));
    const auto shown = [&](std::string name, const Placement& placement) -> Result<ReportPlacement> {
      ReportPlacement result;
      result.score.strategy = std::move(name);
      result.placement = placement;
      EVENKEEL_TRY(metrics, measure(last_window, placement, options.cluster, options.step_time, comm));
      result.score.held_out = std::move(metrics);
      return result;
    };
    if (lane.policy == "never") {
      EVENKEEL_TRY(before, shown(lane.policy, *lane.first));
      report.before = std::move(before);
    } else if (lane.policy == day.verdict.policy) {
      EVENKEEL_TRY(after, shown(lane.policy, *lane.last));
      report.placements.push_back(std::move(after));
    }
  }
  report.verdict = {day.verdict.is_rebalance ? "rebalance" : "keep", day.verdict.reason + "."};
  return report;
}

ordered_json replay_json(const std::vector<ReplayedDay>& days, const PolicyOptions& options) {
  const ReplayedDay& decides = deciding_day(days);
  ordered_json policies = ordered_json::array();
  for (const ReplayedDay& day : days) {
    for (const LaneResult& lane : day.lanes) policies.push_back(lane_json(lane, day, options));
  }
  return {{"schema", "evenkeel.replay/1"},
          {"verdict", decides.verdict.is_rebalance ? "rebalance" : "keep"},
          {"reason", Sweep(days).prefix(decides) + decides.verdict.reason},
          {"steps_per_window", options.window_steps},
          {"batch_tokens", options.step_time.batch_tokens},
          {"spare_bytes", static_cast<double>(options.spare) * options.step_time.expert_bytes},
          {"policies", std::move(policies)}};
}

std::string replay_table(const std::vector<ReplayedDay>& days, const PolicyOptions& options) {
  const Sweep sweep(days);
  std::vector<std::string> columns{"policy"};
  std::ranges::move(sweep.columns(), std::back_inserter(columns));
  std::ranges::copy(std::array{"tokens/s", "against never", "step ms", "p99 ms", "imbalance", "moves", "migrations",
                               "moved GB", "stall s"},
                    std::back_inserter(columns));
  Table table(std::move(columns));
  for (const ReplayedDay& day : days) {
    for (const LaneResult& lane : day.lanes) {
      std::vector<std::string> cells{lane.policy};
      std::ranges::move(sweep.cells(day), std::back_inserter(cells));
      std::ranges::move(
          std::array{fmt::format("{:.0f}", lane.throughput(options)),
                     fmt::format("{:+.2f} %", 100 * (lane.throughput(options) / day.never_throughput - 1)),
                     fmt::format("{:.3f}", lane.step_seconds_mean() * 1e3),
                     fmt::format("{:.3f}", lane.step_seconds_tail() * 1e3),
                     fmt::format("{:.4f}", lane.imbalance_mean()), fmt::format("{}", lane.moves),
                     fmt::format("{}", lane.epochs.size()), fmt::format("{:.1f}", lane.moved_bytes / 1e9),
                     fmt::format("{:.3f}", lane.stall_seconds)},
          std::back_inserter(cells));
      table.add(std::move(cells));
    }
  }
  std::string text = table.text();
  for (const ReplayedDay& day : days) {
    for (const LaneResult& lane : day.lanes) {
      if (lane.plans_missed > 0) {
        text += fmt::format("{}{}: {} times no plan was found in its budget, and nothing moved; give more work units\n",
                            sweep.prefix(day), lane.policy, lane.plans_missed);
      }
    }
    text += fmt::format("{}{}: {}\n", sweep.prefix(day), day.verdict.is_rebalance ? "rebalance" : "keep",
                        day.verdict.reason);
  }
  return text;
}

}  // namespace evenkeel
