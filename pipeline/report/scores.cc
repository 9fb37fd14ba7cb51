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

/// A figure of one stretch of traffic, as a column.
struct Column {
  std::string name;
  std::string (*cell)(const std::optional<Metrics>& metrics, const std::optional<double>& by_window);
};

const std::vector<Column>& columns() {
  using Part = const std::optional<Metrics>&;
  using ByWindow = const std::optional<double>&;
  static const std::vector<Column> all{
      {"imbalance",
       [](Part part, ByWindow) {
         return cell(part, "{:.4f}", [](const Metrics& m) { return std::optional(m.imbalance_mean); });
       }},
      {"by window", [](Part, ByWindow value) { return value ? fmt::format("{:.4f}", *value) : "-"; }},
      {"same-GPU",
       [](Part part, ByWindow) { return cell(part, "{:.4f}", [](const Metrics& m) { return m.same_gpu_share; }); }},
      {"GPUs",
       [](Part part, ByWindow) { return cell(part, "{:.3f}", [](const Metrics& m) { return m.gpus_touched; }); }},
      {"step ms", [](Part part, ByWindow) {
         return cell(part, "{:.3f}", [](const Metrics& m) { return std::optional(m.step_time_seconds * 1e3); });
       }}};
  return all;
}

/// Those of the columns in which a row has something, of communication what is asked about.
std::vector<Column> filled_columns(const std::vector<ScoreRow>& rows, Comm comm) {
  std::vector<Column> filled;
  std::ranges::copy_if(columns(), std::back_inserter(filled), [&](const Column& column) {
    if (column.name == (comm == Comm::kDispatch ? "same-GPU" : "GPUs")) return false;
    return std::ranges::any_of(rows, [&](const ScoreRow& row) {
      return column.cell(row.in_sample, row.fitted_by_window) != "-" ||
             column.cell(row.held_out, row.held_out_by_window) != "-";
    });
  });
  return filled;
}

/// The traffic that rows are judged by.
const std::optional<Metrics>& judged(const ScoreRow& row) { return row.held_out ? row.held_out : row.in_sample; }

/// The row with the least modelled step; null where there are not several.
const ScoreRow* fastest(const std::vector<ScoreRow>& rows) {
  const ScoreRow* best = nullptr;
  for (const ScoreRow& row : rows) {
    const auto& metrics = judged(row);
    if (metrics && (!best || metrics->step_time_seconds < judged(*best)->step_time_seconds)) best = &row;
  }
  return rows.size() > 1 ? best : nullptr;
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

/// What the table's figures are of.
std::string legend(const std::vector<ScoreRow>& rows, Comm comm, const StepTimeModel& step_time) {
  const bool has_paths =
      std::ranges::any_of(rows, [](const ScoreRow& row) { return row.in_sample && row.in_sample->gpus_touched; });
  const bool is_fitted = std::ranges::any_of(
      rows, [](const ScoreRow& row) { return row.solve_seconds.has_value() && !row.held_out.has_value(); });
  std::string text =
      fmt::format("{}step: modelled, {} tokens, {}\n", fastest(rows) ? "* least step; " : "", step_time.batch_tokens,
                  !has_paths                ? "computing alone (loads tell no communication)"
                  : comm == Comm::kDispatch ? "dispatch; GPUs: that a token goes to in a layer"
                                            : "resident; same-GPU: share of hops that stay");
  if (is_fitted) text += "figures are of the traffic that was fitted; traffic to come will be worse\n";
  for (const ScoreRow& row : rows) {
    for (const std::string& note : row.not_honoured) {
      if (!note.ends_with("looks at loads alone")) text += note + "\n";
    }
  }
  return text;
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
  if (row.fitted_by_window || row.held_out_by_window) {
    json["imbalance_by_window"] = {{"in_sample", or_null(row.fitted_by_window)},
                                   {"held_out", or_null(row.held_out_by_window)}};
  }
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

Result<std::optional<double>> imbalance_by_window(const RoutingProfile& profile, const Placement& placement,
                                                  const Cluster& cluster) {
  if (profile.windows.size() < 2) return std::optional<double>();
  double sum = 0;
  for (const StageLoad& window : profile.windows) {
    EVENKEEL_TRY(metrics, measure({profile.shape, {window}, {}}, placement, cluster, {}, Comm::kResident));
    sum += metrics.imbalance_mean;
  }
  return std::optional(sum / static_cast<double>(profile.windows.size()));
}

std::string scores_table(const std::vector<ScoreRow>& rows, Comm comm, const StepTimeModel& step_time) {
  const bool has_held_out = std::ranges::any_of(rows, [](const ScoreRow& row) { return row.held_out.has_value(); });
  const std::vector<Column> parts = filled_columns(rows, comm);
  const auto is_ok = [](const ScoreRow& row) { return row.status == SolveStatus::kOk; };
  const bool has_status = !std::ranges::all_of(rows, is_ok);
  std::vector<std::string> header{"strategy"};
  if (has_status) header.emplace_back("status");
  header.emplace_back("solve s");
  const std::size_t in_sample = header.size();
  for (int count = has_held_out ? 2 : 1; count > 0; --count)
    std::ranges::transform(parts, std::back_inserter(header), &Column::name);
  const auto has_any = [&](auto has) {
    return std::ranges::any_of(rows, [&](const ScoreRow& row) { return row.in_sample && has(*row.in_sample); });
  };
  const bool has_doubled = has_any([](const Metrics& metrics) { return metrics.duplicate_slots > 0; });
  const bool has_moves = has_any([](const Metrics& metrics) { return metrics.churn.has_value(); });
  if (has_doubled) header.push_back("doubled");
  if (has_moves) std::ranges::copy(std::vector<std::string>{"churn", "moved GB", "rounds"}, std::back_inserter(header));
  Table table(header);
  if (has_held_out) {
    table.add_group("fitted traffic", in_sample, parts.size());
    table.add_group("held-out traffic", in_sample + parts.size(), parts.size());
  }
  const ScoreRow* const best = fastest(rows);
  for (const ScoreRow& row : rows) {
    std::vector<std::string> cells{row.strategy + (&row == best ? " *" : "")};
    if (has_status) cells.emplace_back(status_name(row.status));
    cells.push_back(row.solve_seconds ? fmt::format("{:.2f}", *row.solve_seconds) : "-");
    for (const Column& column : parts) cells.push_back(column.cell(row.in_sample, row.fitted_by_window));
    if (has_held_out) {
      for (const Column& column : parts) cells.push_back(column.cell(row.held_out, row.held_out_by_window));
    }
    if (has_doubled) cells.push_back(row.in_sample ? fmt::format("{}", row.in_sample->duplicate_slots) : "-");
    if (has_moves) std::ranges::copy(migration_cells(row.in_sample), std::back_inserter(cells));
    table.add(std::move(cells));
  }
  return table.text() + legend(rows, comm, step_time);
}

}  // namespace evenkeel
