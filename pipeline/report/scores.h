#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "partition/cost/metrics.h"
#include "partition/place.h"

namespace evenkeel {

/// One strategy or placement with its figures: a row of the scores table and of the scores JSON
/// ("evenkeel.scores/1", docs/reference/scores.md).
struct ScoreRow {
  std::string strategy;
  SolveStatus status = SolveStatus::kOk;
  /// Absent where nothing was solved.
  std::optional<double> solve_seconds;
  std::optional<Metrics> in_sample;
  std::optional<Metrics> held_out;
  std::optional<Certificate> certificate;
  std::vector<StageReport> stages;
  /// With a running placement only.
  std::optional<ReplanReport> replan{};
  /// Where they were chosen for it: the slack, and the windows fitted at once.
  std::optional<double> slack{};
  std::optional<std::size_t> windows{};
  /// Where the traffic has several windows: imbalance_mean of each window, mean over them. Of the traffic added up it
  /// is smaller.
  std::optional<double> fitted_by_window{}, held_out_by_window{};
  /// What was asked for and the strategy does not honour, a sentence each.
  std::vector<std::string> not_honoured{};
};

/// The row of a solution, without figures yet; `seconds_before` were spent on it before it was solved.
[[nodiscard]] ScoreRow score_row(std::string strategy, const Solution& solution, double seconds_before);

[[nodiscard]] std::string_view status_name(SolveStatus status);

/// A document as text, indented; bytes that are not UTF-8 (in file names) are replaced.
[[nodiscard]] std::string json_text(const nlohmann::ordered_json& document);

/// The row as JSON; absent figures are null.
[[nodiscard]] nlohmann::ordered_json to_json(const ScoreRow& row);

/// The whole document. `options` is what the figures were made with.
[[nodiscard]] nlohmann::ordered_json scores_json(nlohmann::ordered_json options, std::size_t fit_sequences,
                                                 std::size_t score_sequences, const std::vector<ScoreRow>& rows);

/// What the moves from a running placement bought, in one line without its end.
[[nodiscard]] std::string replan_text(const ReplanReport& report, const Placement& placement);

/// The mean over windows of the imbalance of each; absent where there are not several windows.
[[nodiscard]] Result<std::optional<double>> imbalance_by_window(const RoutingProfile& profile,
                                                                const Placement& placement, const Cluster& cluster);

/// Rows as a table, columns only where a row has something in them, the row with the least step marked; then what the
/// figures are of: the communication (with token paths), the tokens of a step, and what a strategy does not look at.
[[nodiscard]] std::string scores_table(const std::vector<ScoreRow>& rows, Comm comm, const StepTimeModel& step_time);

}  // namespace evenkeel
