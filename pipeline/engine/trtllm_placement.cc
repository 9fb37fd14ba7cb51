#include "pipeline/engine/trtllm_placement.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>

#include "pipeline/engine/json_fields.h"
#include "pipeline/engine/layer_assignments.h"

namespace evenkeel {
namespace {

const std::array<std::string, 3> kTrtllmKeys{kAssignmentsKey, "num_slots", kUpdatesKey};

}  // namespace

Result<std::string> trtllm_placement_text(const Placement& placement) {
  EVENKEEL_TRY_STATUS(check_equal_slots(placement, "TensorRT-LLM"));
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << kAssignmentsKey << YAML::Value << YAML::BeginMap;
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    out << YAML::Key << placement.layer_ids()[layer] << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const ExpertIndex expert : placement.row(LayerId(layer))) out << expert;
    out << YAML::EndSeq;
  }
  out << YAML::EndMap << YAML::Key << "num_slots" << YAML::Value << placement.slots();
  out << YAML::Key << kUpdatesKey << YAML::Value << 0 << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

Result<PlacementFile> parse_trtllm_placement(const nlohmann::json& document, const std::string& path,
                                             const PlacementHints& hints) {
  EVENKEEL_TRY_STATUS(check_known_keys(document, path, kTrtllmKeys));
  if (!document.contains(kAssignmentsKey)) {
    return invalid_input(
        fmt::format("{}: it holds no map, for key '{}' is missing: TensorRT-LLM chooses the map itself; "
                    "give a file with a map, as evenkeel partition --format trtllm writes",
                    path, kAssignmentsKey));
  }
  EVENKEEL_TRY(slots, whole_number_of(document, path, "num_slots", 1));
  std::size_t updates = 0;
  if (document.contains(kUpdatesKey)) {
    EVENKEEL_TRY(given, whole_number_of(document, path, kUpdatesKey, 0));
    updates = given;
  }
  EVENKEEL_TRY(
      map, parse_layer_assignments(document.at(kAssignmentsKey), slots, fmt::format("{}: {}", path, kAssignmentsKey)));
  if (updates > 0) {
    map.notes.push_back(
        {fmt::format("layer_updates_per_iter {} (TensorRT-LLM changes the map itself) is left out", updates)});
  }
  return placement_of(std::move(map), hints, path);
}

}  // namespace evenkeel
