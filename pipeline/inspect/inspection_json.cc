#include "pipeline/inspect/inspection_json.h"

#include <optional>

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

/// One element for each item of a list.
template <class List, class Convert>
ordered_json list_json(const List& list, Convert&& convert) {
  ordered_json json = ordered_json::array();
  for (const auto& item : list) json.push_back(convert(item));
  return json;
}

ordered_json shape_json(const TraceShape& shape) {
  const auto layer_of_round = [&](std::uint32_t row) { return shape.model.layer_ids[row]; };
  return {{"layers", shape.model.layers()},
          {"layer_ids", shape.model.layer_ids},
          {"hidden_layers", or_null(shape.model.hidden_layers)},
          {"experts", shape.model.experts},
          {"rounds", shape.tokens ? list_json(shape.layer_of_round, layer_of_round) : ordered_json()},
          {"top_k", or_null(shape.top_k)},
          {"tokens", or_null(shape.tokens)},
          {"sequences", or_null(shape.sequences)},
          {"null_share", or_null(shape.null_share)},
          {"windows", shape.windows},
          {"stages", list_json(shape.stages, stage_name)}};
}

ordered_json skew_figures(const LoadSkew& skew) {
  return {{"hottest_ratio", skew.hottest_ratio},
          {"variation", skew.variation},
          {"top_tenth_share", skew.top_tenth_share},
          {"gini", skew.gini},
          {"entropy", skew.entropy},
          {"cold_experts", skew.cold_experts}};
}

ordered_json skew_json(const Inspection& inspection) {
  ordered_json contiguous;
  if (const auto& balance = inspection.contiguous) {
    contiguous = {{"gpus", balance->gpus},
                  {"imbalance_mean", balance->imbalance_mean},
                  {"imbalance_worst", balance->imbalance_worst},
                  {"imbalance_by_layer", balance->imbalance_by_layer}};
  }
  return {{"mean", skew_figures(mean_skew(inspection.skew))},
          {"worst_layer", inspection.shape.model.layer_ids[most_skewed_layer(inspection.skew)]},
          {"layers", list_json(inspection.skew, skew_figures)},
          {"contiguous", std::move(contiguous)}};
}

const char* source_name(PartSource source) {
  switch (source) {
    case PartSource::kMarked:
      return "marked";
    case PartSource::kLoads:
      return "loads";
    case PartSource::kSequences:
      return "sequences";
  }
  return "";
}

ordered_json drift_json(const std::optional<Drift>& drift, const ModelShape& model) {
  if (!drift) return nullptr;
  const auto distance_json = [&](const LoadDistance& distance) {
    ordered_json json{{"from", drift->parts.names[distance.from]},
                      {"to", drift->parts.names[distance.to]},
                      {"variation_mean", or_null(distance.variation_mean)},
                      {"variation_worst", or_null(distance.variation_worst)},
                      {"worst_layer", nullptr},
                      {"cosine_mean", or_null(distance.cosine_mean)},
                      {"noise_mean", or_null(distance.noise_mean)},
                      {"variation_by_layer", list_json(distance.variation_by_layer, or_null<double>)}};
    if (distance.variation_worst) json["worst_layer"] = model.layer_ids[distance.worst_layer];
    return json;
  };
  return {{"source", source_name(drift->parts.source)},
          {"noise", drift->parts.part_of_sequence.empty() ? "independent tokens" : "dealt sequences"},
          {"names", drift->parts.names},
          {"steps", list_json(drift->steps, distance_json)},
          {"first_to_last", distance_json(drift->first_to_last)}};
}

ordered_json affinity_json(const std::optional<std::vector<RoundAffinity>>& affinity, const ModelShape& model) {
  if (!affinity) return nullptr;
  return list_json(*affinity, [&](const RoundAffinity& pair) -> ordered_json {
    return {{"from_layer", model.layer_ids[pair.from.index()]},
            {"to_layer", model.layer_ids[pair.to.index()]},
            {"top_successor_ratio", or_null(pair.top_successor_ratio)},
            {"popularity_ratio", or_null(pair.popularity_ratio)},
            {"information", or_null(pair.information)},
            {"information_noise", or_null(pair.information_noise)}};
  });
}

ordered_json fan_out_json(const std::optional<FanOut>& fan_out, const ModelShape& model) {
  if (!fan_out) return nullptr;
  const auto round_json = [&](const RoundFanOut& round) -> ordered_json {
    return {{"layer", model.layer_ids[round.layer.index()]},
            {"experts_per_token", round.experts_per_token},
            {"pairs_share", or_null(round.pairs_share)},
            {"top_partner_lift", or_null(round.top_partner_lift)}};
  };
  return {{"experts_per_token", fan_out->experts_per_token}, {"rounds", list_json(fan_out->rounds, round_json)}};
}

ordered_json router_json(const SegmentRouter& router) {
  return {{"srp", router.srp}, {"threshold", router.threshold}, {"size_ratio", or_null(router.size_ratio)}};
}

ordered_json srp_json(const SegmentRouting& routing) {
  if (routing.segments == 0) {
    return {{"segment_tokens", routing.segment_tokens},
            {"segments", 0},
            {"model", nullptr},
            {"model_chance", nullptr},
            {"rounds", nullptr},
            {"experts", nullptr}};
  }
  ordered_json experts = ordered_json::array();
  for (std::size_t round = 0; round < routing.experts.rows(); ++round) {
    experts.push_back(list_json(routing.experts[round], [](const SegmentRouter& router) { return router.srp; }));
  }
  return {{"segment_tokens", routing.segment_tokens},
          {"segments", routing.segments},
          {"model", router_json(routing.model)},
          {"model_chance", routing.model_chance},
          {"rounds", list_json(routing.rounds, router_json)},
          {"experts", std::move(experts)}};
}

ordered_json sch_json(const SegmentCache& cache) {
  return {{"segment_tokens", cache.segment_tokens},
          {"tokens", cache.tokens},
          {"cache_ratio", cache.cache_ratio},
          {"router", cache.router},
          {"model", cache.model},
          {"rounds", cache.rounds}};
}

}  // namespace

ordered_json inspection_json(ordered_json options, const Inspection& inspection) {
  const ModelShape& model = inspection.shape.model;
  const auto& srp = inspection.segment_routing;
  const auto& sch = inspection.segment_caches;
  return {{"schema", "evenkeel.inspect/1"},
          {"options", std::move(options)},
          {"shape", shape_json(inspection.shape)},
          {"skew", skew_json(inspection)},
          {"drift", drift_json(inspection.drift, model)},
          {"stage_drift", drift_json(inspection.stage_drift, model)},
          {"affinity", affinity_json(inspection.affinity, model)},
          {"fan_out", fan_out_json(inspection.fan_out, model)},
          {"srp", srp ? list_json(*srp, srp_json) : ordered_json()},
          {"sch", sch ? list_json(*sch, sch_json) : ordered_json()},
          {"notes", inspection.notes}};
}

}  // namespace evenkeel
