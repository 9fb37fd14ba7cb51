#include "pipeline/engine/ascend_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pipeline/engine/json_fields.h"
#include "pipeline/engine/map_rows.h"
#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

using nlohmann::json;

const std::array<std::string, 2> kFileKeys{"moe_layer_count", "layer_list"};
const std::array<std::string, 3> kLayerKeys{"layer_id", "device_count", "device_list"};
const std::array<std::string, 2> kDeviceKeys{"device_id", "device_expert"};

std::optional<ExpertIndex> repeated_expert(std::span<const ExpertIndex> experts) {
  std::vector<ExpertIndex> sorted(experts.begin(), experts.end());
  std::ranges::sort(sorted);
  const auto repeated = std::ranges::adjacent_find(sorted);
  return repeated == sorted.end() ? std::nullopt : std::optional(*repeated);
}

/// A list that holds as many entries as the file says beside it.
Status check_list(const json& list, std::size_t declared, const std::string& where, const char* count_key) {
  if (list.is_array() && list.size() == declared) return {};
  return invalid_input(fmt::format("{} is {} but {} is {}; make them agree", where, brief(list), count_key, declared));
}

/// Whether an entry has the number of its place, or none. The engine does not look at it.
bool is_numbered(const json& object, const char* key, std::size_t expected) {
  return !object.contains(key) || object.at(key) == expected;
}

/// All known keys and one that has to be there.
Status check_entry(const json& object, const std::string& where, std::span<const std::string> keys,
                   const std::string& needed) {
  EVENKEEL_TRY_STATUS(check_known_keys(object, where, keys));
  if (object.contains(needed)) return {};
  return invalid_input(fmt::format("{}: key '{}' is missing; add it", where, needed));
}

/// GPUs and slots of each, the same in every layer.
struct DeviceShape {
  std::size_t devices;
  std::size_t slots;
  /// Layers and devices have the numbers of their places.
  bool is_in_order = true;
};

/// All but the numbers of experts, held against the layers before; the first layer sets the shape.
Status check_layer(const json& layer, std::size_t number, const std::string& where, std::optional<DeviceShape>& shape) {
  EVENKEEL_TRY_STATUS(check_entry(layer, where, kLayerKeys, "device_list"));
  EVENKEEL_TRY(devices, whole_number_of(layer, where, "device_count", 1));
  const json& list = layer.at("device_list");
  EVENKEEL_TRY_STATUS(check_list(list, devices, where + ".device_list", "device_count"));
  for (std::size_t device = 0; device < devices; ++device) {
    const std::string place = fmt::format("{}.device_list[{}]", where, device);
    EVENKEEL_TRY_STATUS(check_entry(list[device], place, kDeviceKeys, "device_expert"));
    const json& experts = list[device].at("device_expert");
    if (!shape) shape = DeviceShape{devices, experts.size()};
    if (!experts.is_array() || experts.empty() || experts.size() != shape->slots) {
      return invalid_input(
          fmt::format("{}.device_expert is {}; give equally many experts on every device", place, brief(experts)));
    }
    shape->is_in_order = shape->is_in_order && is_numbered(list[device], "device_id", device);
  }
  shape->is_in_order = shape->is_in_order && is_numbered(layer, "layer_id", number);
  if (devices == shape->devices) return {};
  return invalid_input(
      fmt::format("{}: device_count is {} but layer 0 has {}; make them agree", where, devices, shape->devices));
}

Status parse_experts(const json& experts, const std::string& where, std::span<ExpertIndex> out) {
  EVENKEEL_TRY_STATUS(parse_map_row(experts, where, out));
  const auto expert = repeated_expert(out);
  if (!expert) return {};
  return invalid_input(
      fmt::format("{} holds expert {} twice; vllm-ascend wants each once on a device", where, *expert));
}

}  // namespace

Result<std::string> ascend_placement_text(const Placement& placement) {
  EVENKEEL_TRY_STATUS(check_equal_slots(placement, "vllm-ascend"));
  nlohmann::ordered_json document{{"moe_layer_count", placement.layers()},
                                  {"layer_list", nlohmann::ordered_json::array()}};
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    auto devices = nlohmann::ordered_json::array();
    for (std::size_t gpu = 0; gpu < placement.gpus(); ++gpu) {
      const auto experts = placement.hosted(LayerId(layer), GpuId(gpu));
      if (const auto expert = repeated_expert(experts)) {
        return infeasible(
            fmt::format("vllm-ascend takes no expert twice on a device, but GPU {} holds expert {} of layer {} twice; "
                        "plan without (strategy eplb makes such maps, evenkeel does not)",
                        gpu, *expert, placement.layer_ids()[layer]));
      }
      devices.push_back({{"device_id", gpu}, {"device_expert", map_row_json(experts)}});
    }
    document["layer_list"].push_back(
        {{"layer_id", layer}, {"device_count", placement.gpus()}, {"device_list", std::move(devices)}});
  }
  return document.dump() + "\n";
}

Result<PlacementFile> parse_ascend_placement(const json& document, const std::string& path,
                                             const PlacementHints& hints) {
  EVENKEEL_TRY_STATUS(check_exact_keys(document, path, kFileKeys));
  EVENKEEL_TRY(layer_count, whole_number_of(document, path, "moe_layer_count", 1));
  const json& layers = document.at("layer_list");
  EVENKEEL_TRY_STATUS(check_list(layers, layer_count, path + ": layer_list", "moe_layer_count"));
  std::optional<DeviceShape> shape;
  for (std::size_t layer = 0; layer < layer_count; ++layer)
    EVENKEEL_TRY_STATUS(check_layer(layers[layer], layer, fmt::format("{}: layer_list[{}]", path, layer), shape));
  EngineMap map{{}, Grid<ExpertIndex>(layer_count, shape->devices * shape->slots), shape->devices, std::nullopt, {}};
  for (std::size_t layer = 0; layer < layer_count; ++layer) {
    for (std::size_t device = 0; device < shape->devices; ++device) {
      EVENKEEL_TRY_STATUS(
          parse_experts(layers[layer].at("device_list")[device].at("device_expert"),
                        fmt::format("{}: layer_list[{}].device_list[{}].device_expert", path, layer, device),
                        map.rows[layer].subspan(device * shape->slots, shape->slots)));
    }
  }
  if (!shape->is_in_order) {
    map.notes.push_back(
        {"layer_id or device_id are not 0, 1, ... in order; the map is read by position, as vllm-ascend "
         "does, which looks at neither"});
  }
  EVENKEEL_TRY(layer_ids, layers_from_zero(layer_count, hints, path));
  map.layer_ids = std::move(layer_ids);
  return placement_of(std::move(map), hints, path);
}

}  // namespace evenkeel
