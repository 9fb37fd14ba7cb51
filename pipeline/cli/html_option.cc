#include "pipeline/cli/html_option.h"

#include <utility>

#include "pipeline/cli/command_error.h"
#include "pipeline/inspect/inspection.h"

namespace evenkeel {

void HtmlArguments::add_to(CLI::App& command) {
  command.add_option("--html", file, "Also write a report to look at here: one HTML file that fetches nothing");
}

ReportPlacement running_placement(const Placement& running, const RoutingProfile& fit, const RoutingProfile* held_out,
                                  const Cluster& cluster, const StepTimeModel& step_time, Comm comm) {
  const auto measured = [&](const RoutingProfile& profile) {
    return value_or_exit(measure(profile, running, cluster, step_time, comm));
  };
  ReportPlacement placement{
      {std::string(kRunningName), SolveStatus::kOk, std::nullopt, measured(fit), std::nullopt, std::nullopt, {}},
      running};
  if (held_out != nullptr) placement.score.held_out = measured(*held_out);
  return placement;
}

std::optional<ReportPlacement> contiguous_start(const RoutingProfile& fit, const RoutingProfile* held_out,
                                                const Cluster& cluster, const StepTimeModel& step_time, Comm comm,
                                                std::size_t redundant) {
  if (!cluster.slots.empty()) return std::nullopt;
  auto placement = contiguous_placement(fit.shape.layer_ids, fit.shape.experts, redundant, cluster.gpus, cluster.nodes);
  if (!placement) return std::nullopt;
  ReportPlacement start = running_placement(*placement, fit, held_out, cluster, step_time, comm);
  start.score.strategy = strategy_name(Strategy::kContiguous);
  return start;
}

std::vector<ReportConsistency> report_consistency(const RoutingProfile& traffic, std::size_t threads) {
  std::vector<ReportConsistency> list;
  if (traffic.paths.empty()) return list;
  for (const SegmentRouting& routing : segment_routing(traffic, InspectOptions{}.segments, threads)) {
    if (routing.segments == 0) continue;
    list.push_back({routing.segment_tokens, routing.model.srp, routing.model_chance});
  }
  return list;
}

}  // namespace evenkeel
