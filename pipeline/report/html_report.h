#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/model/cluster.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"
#include "pipeline/report/html_timeline.h"
#include "pipeline/report/scores.h"

namespace evenkeel {

/// Name of the placement that runs, as a row of a report.
inline constexpr std::string_view kRunningName = "running";

/// A placement that the report shows, with its figures.
struct ReportPlacement {
  ScoreRow score;
  /// Absent where none was found.
  std::optional<Placement> placement;
  /// The slack it was searched with, where placements differ in that alone: a point of the front and nothing else.
  std::optional<double> slack = std::nullopt;
};

/// Local routing consistency of one segment length (docs/reference/inspect.md, SRP).
struct ReportConsistency {
  std::size_t segment_tokens = 0;
  double srp = 0;
  /// What the loads alone would give.
  double srp_chance = 0;
};

/// The first line of a report.
struct ReportVerdict {
  /// "better", "keep" or "rebalance"; "figures" where there is nothing to compare with.
  std::string word;
  /// One sentence.
  std::string sentence;
};

/// What a report is made of. Sections without data are left out of the page.
struct HtmlReport {
  /// Name of the command that makes it.
  std::string command;
  /// What the figures were made with.
  nlohmann::ordered_json options;
  Cluster cluster;
  Comm comm = Comm::kResident;
  StepTimeModel step_time;
  /// The traffic that loads and tiers are shown on, and whether no placement was fitted to it. Absent: no such charts.
  const RoutingProfile* traffic = nullptr;
  bool is_held_out = false;
  /// Windows that placements were fitted to.
  std::size_t fitted_windows = 1;
  /// The placement that runs, or that engines start with.
  std::optional<ReportPlacement> before = std::nullopt;
  std::vector<ReportPlacement> placements = {};
  std::vector<ReportConsistency> consistency = {};
  std::optional<ReportTimeline> timeline = std::nullopt;
  /// Absent: the best placement against the one before.
  std::optional<ReportVerdict> verdict = std::nullopt;
};

/// Figures on the traffic that the report shows: held-out where there are any, else in sample; null without.
[[nodiscard]] const Metrics* shown_metrics(const ReportPlacement& placement);

/// The placement with the shortest modelled step, other than the one before and points of the front; null where there
/// is none.
[[nodiscard]] const ReportPlacement* best_placement(const HtmlReport& report);

/// The report's data ("evenkeel.report/1", docs/reference/report.md): figures to six digits, loads in thousandths of
/// their layer's mean. Pure.
[[nodiscard]] nlohmann::ordered_json report_json(const HtmlReport& report);

/// The page that shows such data: one file that fetches nothing.
[[nodiscard]] std::string html_page(const nlohmann::ordered_json& data);

/// Writes the page. Fails as write_output() does.
[[nodiscard]] Status write_html_report(const std::filesystem::path& path, const HtmlReport& report);

}  // namespace evenkeel
