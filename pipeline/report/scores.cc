#include "pipeline/report/scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "partition/foundation/check.h"
#include "pipeline/report/table.h"

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json metrics_json(const std::optional<Metrics>& metrics) {
  if (!metrics) return nullptr;
  return {{"imbalance_mean", metrics->imbalance_mean},
          {"imbalance_worst", metrics->imbalance_worst},
          {"imbalance_by_layer", metrics->imbalance_by_layer},
          {"same_gpu_share", or_null(metrics->same_gpu_share)},
          {"same_node_share", or_null(metrics->same_node_share)},
          {"gpus_touched", or_null(metrics->gpus_touched)},
          {"nodes_touched", or_null(metrics->nodes_touched)},
          {"busiest_gpu_bytes", or_null(metrics->busiest_gpu_bytes)},
          {"step_time_seconds", metrics->step_time_seconds},
          {"sglang_balancedness", metrics->sglang_balancedness},
          {"vllm_balancedness", metrics->vllm_balancedness},
          {"trtllm_imbalance", metrics->trtllm_imbalance},
          {"ascend_par", metrics->ascend_par},
          {"duplicate_slots", metrics->duplicate_slots},
          {"churn", or_null(metrics->churn)},
          {"moved_bytes", or_null(metrics->moved_bytes)},
          {"rounds", or_null(metrics->rounds)}};
}

ordered_json certificate_json(const std::optional<Certificate>& certificate) {
  if (!certificate) return nullptr;
  ordered_json json{{"value", certificate->value},
                    {"bound", or_null(certificate->bound)},
                    {"gap", or_null(certificate->gap)},
                    {"load_bound", certificate->load_bound},
                    {"z_star", certificate->z_star}};
  if (certificate->step_time_bound) json["step_time_bound_seconds"] = certificate->step_time_bound->count();
  return json;
}

ordered_json blocks_json(const BlockReport& blocks) {
  return {{"solves", blocks.solves},
          {"closed", blocks.closed},
          {"improved", blocks.improved},
          {"gain", blocks.gain},
          {"gain_bound", or_null(blocks.gain_bound)}};
}

ordered_json replan_json(const ReplanReport& replan) {
  return {{"moves", replan.moves},
          {"moves_forced", replan.moves_forced},
          {"moves_max", or_null(replan.moves_max)},
          {"imbalance_before", replan.imbalance_before},
          {"imbalance_after", replan.imbalance_after}};
}

template <class Get>
std::string cell(const std::optional<Metrics>& metrics, const char* format, Get get) {
  if (!metrics) return "-";
  const std::optional<double> value = get(*metrics);
  return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

/// The columns that one stretch of traffic gets.
std::vector<std::string> metric_cells(const std::optional<Metrics>& metrics) {
  return {cell(metrics, "{:.4f}", [](const Metrics& m) { return std::optional(m.imbalance_mean); }),
          cell(metrics, "{:.3f}", [](const Metrics& m) { return std::optional(m.imbalance_worst); }),
          cell(metrics, "{:.4f}", [](const Metrics& m) { return m.same_gpu_share; }),
          cell(metrics, "{:.3f}", [](const Metrics& m) { return m.gpus_touched; }),
          cell(metrics, "{:.3f}", [](const Metrics& m) { return std::optional(m.step_time_seconds * 1e3); })};
}

/// What a change from the placement that runs moves.
std::vector<std::string> migration_cells(const std::optional<Metrics>& metrics) {
  return {cell(metrics, "{:.4f}", [](const Metrics& m) { return m.churn; }),
          cell(metrics, "{:.1f}",
               [](const Metrics& m) { return m.moved_bytes ? std::optional(*m.moved_bytes / 1e9) : std::nullopt; }),
          cell(metrics, "{:.0f}", [](const Metrics& m) {
            return m.rounds ? std::optional(static_cast<double>(*m.rounds)) : std::nullopt;
          })};
}

}  // namespace

ScoreRow score_row(std::string strategy, const Solution& solution, double seconds_before) {
  ScoreRow row{std::move(strategy), solution.status, seconds_before + solution.solve_seconds,
               std::nullopt,        std::nullopt,    solution.certificate,
               solution.stages,     solution.replan};
  row.not_honoured = solution.not_honoured;
  return row;
}

std::string_view status_name(SolveStatus status) {
  switch (status) {
    case SolveStatus::kOptimal:
      return "optimal";
    case SolveStatus::kOk:
      return "ok";
    case SolveStatus::kTimeLimit:
      return "time_limit";
    case SolveStatus::kInfeasible:
      return "infeasible";
  }
  EVENKEEL_CHECK(false, "every status has a name");
}

std::string json_text(const ordered_json& document) {
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ordered_json to_json(const ScoreRow& row) {
  ordered_json stages = ordered_json::array();
  for (const StageReport& stage : row.stages) {
    ordered_json json{{"name", stage.name},
                      {"seconds", stage.seconds},
                      {"value_before", stage.value_before},
                      {"value_after", stage.value_after}};
    if (stage.blocks) json["blocks"] = blocks_json(*stage.blocks);
    stages.push_back(std::move(json));
  }
  ordered_json json{{"strategy", row.strategy},
                    {"status", status_name(row.status)},
                    {"solve_seconds", or_null(row.solve_seconds)},
                    {"in_sample", metrics_json(row.in_sample)},
                    {"held_out", metrics_json(row.held_out)},
                    {"certificate", certificate_json(row.certificate)},
                    {"stages", std::move(stages)}};
  if (row.replan) json["replan"] = replan_json(*row.replan);
  if (row.slack) json["slack"] = *row.slack;
  if (row.windows) json["windows"] = *row.windows;
  if (!row.not_honoured.empty()) json["not_honoured"] = row.not_honoured;
  return json;
}

ordered_json scores_json(ordered_json options, std::size_t fit_sequences, std::size_t score_sequences,
                         const std::vector<ScoreRow>& rows) {
  ordered_json list = ordered_json::array();
  for (const ScoreRow& row : rows) list.push_back(to_json(row));
  return {{"schema", "evenkeel.scores/1"},
          {"options", std::move(options)},
          {"split", {{"fit_sequences", fit_sequences}, {"score_sequences", score_sequences}}},
          {"rows", std::move(list)}};
}

std::string replan_text(const ReplanReport& report, const Placement& placement) {
  const auto slots = static_cast<double>(placement.layers() * placement.slots());
  return fmt::format("moves: imbalance {:.4f} -> {:.4f} for {} slots that change{}{} ({:.2f} % of all)",
                     report.imbalance_before, report.imbalance_after, report.moves,
                     report.moves_forced > 0 ? fmt::format(", {} needed", report.moves_forced) : "",
                     report.moves_max ? fmt::format(", {} allowed", *report.moves_max) : "",
                     100 * static_cast<double>(report.moves) / slots);
}

std::string scores_table(const std::vector<ScoreRow>& rows) {
  const bool has_held_out = std::ranges::any_of(rows, [](const ScoreRow& row) { return row.held_out.has_value(); });
  const std::vector<std::string> metric_names{"imbalance", "worst", "same-GPU", "GPUs/token", "step ms"};
  std::vector<std::string> header{"strategy", "status", "solve s"};
  const std::size_t in_sample = header.size();
  for (int parts = has_held_out ? 2 : 1; parts > 0; --parts)
    std::ranges::copy(metric_names, std::back_inserter(header));
  header.push_back("doubled");
  const bool has_moves =
      std::ranges::any_of(rows, [](const ScoreRow& row) { return row.in_sample && row.in_sample->churn.has_value(); });
  if (has_moves) std::ranges::copy(std::vector<std::string>{"churn", "moved GB", "rounds"}, std::back_inserter(header));
  Table table(header);
  if (has_held_out) {
    table.add_group("fitted traffic", in_sample, metric_names.size());
    table.add_group("held-out traffic", in_sample + metric_names.size(), metric_names.size());
  }
  for (const ScoreRow& row : rows) {
    std::vector<std::string> cells{row.strategy, std::string(status_name(row.status)),
                                   row.solve_seconds ? fmt::format("{:.2f}", *row.solve_seconds) : "-"};
    std::ranges::copy(metric_cells(row.in_sample), std::back_inserter(cells));
    if (has_held_out) std::ranges::copy(metric_cells(row.held_out), std::back_inserter(cells));
    cells.push_back(row.in_sample ? fmt::format("{}", row.in_sample->duplicate_slots) : "-");
    if (has_moves) std::ranges::copy(migration_cells(row.in_sample), std::back_inserter(cells));
    table.add(std::move(cells));
  }
  return table.text();
}

}  // namespace evenkeel
