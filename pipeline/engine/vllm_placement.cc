#include "pipeline/engine/vllm_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pipeline/engine/json_fields.h"
#include "pipeline/engine/layer_assignments.h"
#include "pipeline/engine/layer_ranges.h"
#include "pipeline/engine/map_rows.h"
#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

constexpr int kVersion = 1;
const std::array<std::string, 5> kVllmKeys{"record_type", "version", "num_redundant_experts", "num_slots",
                                           kAssignmentsKey};

}  // namespace

Result<std::string> vllm_placement_text(const Placement& placement) {
  EVENKEEL_TRY_STATUS(check_equal_slots(placement, "vLLM"));
  auto assignments = nlohmann::ordered_json::object();
  for (std::size_t layer = 0; layer < placement.layers(); ++layer)
    assignments[std::to_string(layer)] = map_row_json(placement.row(LayerId(layer)));
  const nlohmann::ordered_json document{{"record_type", kVllmMapRecord},
                                        {"version", kVersion},
                                        {"num_redundant_experts", placement.redundant()},
                                        {"num_slots", placement.slots()},
                                        {kAssignmentsKey, std::move(assignments)}};
  return document.dump() + "\n";
}

Result<PlacementFile> parse_vllm_placement(const nlohmann::json& document, const std::string& path,
                                           const PlacementHints& hints) {
  EVENKEEL_TRY_STATUS(check_exact_keys(document, path, kVllmKeys));
  if (document.at("version") != kVersion) {
    return invalid_input(
        fmt::format("{}: version is {}; this program reads version {}", path, brief(document.at("version")), kVersion));
  }
  EVENKEEL_TRY(slots, whole_number_of(document, path, "num_slots", 1));
  EVENKEEL_TRY(redundant, whole_number_of(document, path, "num_redundant_experts", 0));
  EVENKEEL_TRY(
      map, parse_layer_assignments(document.at(kAssignmentsKey), slots, fmt::format("{}: {}", path, kAssignmentsKey)));
  if (static_cast<std::size_t>(map.layer_ids.back()) + 1 != map.layer_ids.size()) {
    return invalid_input(fmt::format("{}: {} has layers {}; vLLM counts MoE layers from 0, without gaps", path,
                                     kAssignmentsKey, layer_ranges_text(map.layer_ids)));
  }
  EVENKEEL_TRY(layers, layers_from_zero(map.rows.rows(), hints, path));
  map.layer_ids = std::move(layers);
  EVENKEEL_TRY(file, placement_of(std::move(map), hints, path));
  if (file.placement.redundant() != redundant) {
    return invalid_input(fmt::format("{}: num_redundant_experts is {} but {} slots hold {} experts; write {}", path,
                                     redundant, slots, file.placement.experts(), file.placement.redundant()));
  }
  return std::move(file);
}

Result<std::string> vllm_list_placement_text(const Placement& placement) {
  EVENKEEL_TRY_STATUS(check_equal_slots(placement, "vLLM"));
  return map_rows_json(placement.fields().expert_of_slot).dump() + "\n";
}

Result<PlacementFile> parse_vllm_list_placement(const nlohmann::json& document, const std::string& path,
                                                const PlacementHints& hints) {
  if (document.empty() || document[0].is_array()) {
    EVENKEEL_TRY(rows, parse_map_rows(document, fmt::format("{}: the list", path)));
    EVENKEEL_TRY(layers, layers_from_zero(rows.rows(), hints, path));
    return placement_of({std::move(layers), std::move(rows), std::nullopt, std::nullopt, {}}, hints, path);
  }
  if (hints.layer_ids.empty()) {
    return invalid_input(
        fmt::format("{}: it is one list for all layers; give layer ids such as 3-60 to say which these are", path),
        {"layer_ids"});
  }
  EngineMap map{hints.layer_ids, {}, std::nullopt, std::nullopt, {}};
  map.rows = Grid<ExpertIndex>(map.layer_ids.size(), document.size());
  EVENKEEL_TRY_STATUS(parse_map_row(document, fmt::format("{}: the list", path), map.rows[0]));
  for (std::size_t layer = 1; layer < map.rows.rows(); ++layer) std::ranges::copy(map.rows[0], map.rows[layer].begin());
  return placement_of(std::move(map), hints, path);
}

}  // namespace evenkeel
