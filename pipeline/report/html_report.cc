#include "pipeline/report/html_report.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

#include "pipeline/report/html_loads.h"
#include "pipeline/report/html_page.h"
#include "pipeline/report/html_verdict.h"
#include "pipeline/report/output_file.h"

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

/// To six digits, so that the file is small.
void round_figures(ordered_json& json) {
  if (json.is_number_float()) {
    const std::string text = fmt::format("{:.6g}", json.get<double>());
    double rounded = 0;
    std::from_chars(text.data(), text.data() + text.size(), rounded);
    json = rounded;
  } else if (json.is_structured()) {
    for (auto& element : json) round_figures(element);
  }
}

/// What the busiest GPU sends or receives in a step, by tier; null without token paths.
ordered_json tiers_json(const HtmlReport& report, const Placement& placement) {
  if (report.traffic->paths.empty()) return nullptr;
  double intra = 0;
  double inter = 0;
  for (const LayerTraffic& round :
       layer_traffic(*report.traffic, placement, report.cluster, report.step_time, report.comm)) {
    intra += round.intra_node_bytes;
    inter += round.inter_node_bytes;
  }
  return {{"intra_node_bytes", intra}, {"inter_node_bytes", inter}};
}

/// Communication of a layer as the search weighs it (docs/reference/report.md); null without token paths.
ordered_json communication_json(const HtmlReport& report, const Metrics* metrics) {
  if (!metrics || !metrics->gpus_touched || !metrics->same_gpu_share) return nullptr;
  const bool is_one_node = report.cluster.nodes == 1;
  const double q = report.cluster.intra_node_cost_ratio();
  if (report.comm == Comm::kDispatch) {
    return is_one_node ? *metrics->gpus_touched : *metrics->nodes_touched + q * *metrics->gpus_touched;
  }
  if (is_one_node) return 1 - *metrics->same_gpu_share;
  return q * (*metrics->same_node_share - *metrics->same_gpu_share) + 1 - *metrics->same_node_share;
}

ordered_json placement_json(const HtmlReport& report, const ReportPlacement& placement, bool has_loads) {
  ordered_json json = to_json(placement.score);
  if (placement.slack) json["slack"] = *placement.slack;
  json["communication"] = communication_json(report, shown_metrics(placement));
  if (report.traffic == nullptr || !placement.placement) return json;
  if (!placement.slack) json["tiers"] = tiers_json(report, *placement.placement);
  if (has_loads) json["gpu_load"] = gpu_load_json(*report.traffic, *placement.placement, report.cluster);
  return json;
}

ordered_json model_json(const RoutingProfile& traffic) {
  const TokenPaths& paths = traffic.paths;
  return {{"layer_ids", traffic.shape.layer_ids},
          {"experts", traffic.shape.experts},
          {"top_k", paths.empty() ? ordered_json(nullptr) : ordered_json(paths.top_k)},
          {"sampled_tokens", paths.empty() ? ordered_json(nullptr) : ordered_json(paths.tokens())}};
}

ordered_json consistency_json(const std::vector<ReportConsistency>& consistency) {
  ordered_json list = ordered_json::array();
  for (const ReportConsistency& one : consistency) {
    list.push_back({{"segment_tokens", one.segment_tokens}, {"srp", one.srp}, {"srp_chance", one.srp_chance}});
  }
  return list;
}

}  // namespace

const Metrics* shown_metrics(const ReportPlacement& placement) {
  const ScoreRow& score = placement.score;
  if (score.held_out) return &*score.held_out;
  return score.in_sample ? &*score.in_sample : nullptr;
}

const ReportPlacement* best_placement(const HtmlReport& report) {
  const ReportPlacement* best = nullptr;
  for (const ReportPlacement& placement : report.placements) {
    const Metrics* const metrics = shown_metrics(placement);
    const bool is_before = report.before && placement.score.strategy == report.before->score.strategy;
    if (!metrics || placement.slack || is_before) continue;
    if (!best || metrics->step_time_seconds < shown_metrics(*best)->step_time_seconds) best = &placement;
  }
  return best;
}

ordered_json report_json(const HtmlReport& report) {
  const ReportPlacement* const best = best_placement(report);
  const ReportVerdict verdict = report.verdict ? *report.verdict : verdict_of(report);
  ordered_json placements = ordered_json::array();
  for (const ReportPlacement& placement : report.placements) {
    placements.push_back(placement_json(report, placement, &placement == best));
  }
  ordered_json json{{"schema", "evenkeel.report/1"},
                    {"command", report.command},
                    {"verdict", {{"word", verdict.word}, {"sentence", verdict.sentence}}},
                    {"options", report.options},
                    {"cluster", {{"gpus", report.cluster.gpus}, {"nodes", report.cluster.nodes}}},
                    {"comm", report.comm == Comm::kDispatch ? "dispatch" : "resident"},
                    {"tier_cost_ratio", report.cluster.intra_node_cost_ratio()},
                    {"traffic", report.is_held_out ? "held-out" : "fitted"},
                    {"fitted_windows", report.fitted_windows},
                    {"model", report.traffic ? model_json(*report.traffic) : ordered_json(nullptr)},
                    {"before", report.before ? placement_json(report, *report.before, true) : ordered_json(nullptr)},
                    {"after", best ? ordered_json(best->score.strategy) : ordered_json(nullptr)},
                    {"placements", std::move(placements)},
                    {"expert_load", report.traffic ? expert_load_json(*report.traffic) : ordered_json(nullptr)},
                    {"consistency", consistency_json(report.consistency)},
                    {"timeline", report.timeline ? timeline_json(*report.timeline) : ordered_json(nullptr)}};
  round_figures(json);
  return json;
}

std::string html_page(const ordered_json& data) {
  const std::string json = data.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  std::string page(html_page_head());
  page.reserve(page.size() + json.size() + html_page_tail().size());
  // No text of the data may end the element that holds it.
  for (const char character : json) {
    if (character == '<') {
      page += "\\u003c";
    } else {
      page += character;
    }
  }
  return page += html_page_tail();
}

Status write_html_report(const std::filesystem::path& path, const HtmlReport& report) {
  return write_output(path, html_page(report_json(report)));
}

}  // namespace evenkeel
