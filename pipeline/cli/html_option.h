#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "pipeline/report/html_report.h"

namespace evenkeel {

/// --html: a report to look at.
struct HtmlArguments {
  std::optional<std::filesystem::path> file;

  void add_to(CLI::App& command);
};

/// The placement that engines start with, measured on the fitted traffic and, where there is any, on held-out traffic;
/// absent where the cluster's GPUs have slots of their own or the experts do not divide over them.
[[nodiscard]] std::optional<ReportPlacement> contiguous_start(const RoutingProfile& fit, const RoutingProfile* held_out,
                                                              const Cluster& cluster, const StepTimeModel& step_time,
                                                              Comm comm, std::size_t redundant);

/// A placement that runs, measured likewise.
[[nodiscard]] ReportPlacement running_placement(const Placement& running, const RoutingProfile& fit,
                                                const RoutingProfile* held_out, const Cluster& cluster,
                                                const StepTimeModel& step_time, Comm comm);

/// Local routing consistency of traffic; none without token paths.
[[nodiscard]] std::vector<ReportConsistency> report_consistency(const RoutingProfile& traffic, std::size_t threads);

}  // namespace evenkeel
