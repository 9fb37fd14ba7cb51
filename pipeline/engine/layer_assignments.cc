#include "pipeline/engine/layer_assignments.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "pipeline/engine/layer_ranges.h"
#include "pipeline/engine/map_rows.h"
#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

Result<int> layer_of_key(const std::string& key, const std::string& where) {
  int layer = 0;
  const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), layer);
  const bool is_layer = code == std::errc() && end == key.data() + key.size() && layer >= 0 &&
                        static_cast<std::size_t>(layer) < kLayerNumbersMax && std::to_string(layer) == key;
  if (is_layer) return layer;
  return invalid_input(
      fmt::format("{}: key '{}' is no layer; give a whole number, 0 to {}", where, key, kLayerNumbersMax - 1));
}

}  // namespace

Result<EngineMap> parse_layer_assignments(const nlohmann::json& assignments, std::size_t slots,
                                          const std::string& where) {
  if (!assignments.is_object() || assignments.empty()) {
    return invalid_input(
        fmt::format("{} is {}; give a map from layer to its list of experts", where, brief(assignments)));
  }
  std::map<int, const nlohmann::json*> row_of_layer;
  for (const auto& item : assignments.items()) {
    EVENKEEL_TRY(layer, layer_of_key(item.key(), where));
    // Held against num_slots before anything of that size is made.
    if (!item.value().is_array() || item.value().size() != slots) {
      return invalid_input(
          fmt::format("{}.{} is {}; num_slots asks for {} experts", where, layer, brief(item.value()), slots));
    }
    row_of_layer[layer] = &item.value();
  }
  EngineMap map{{}, Grid<ExpertIndex>(row_of_layer.size(), slots), std::nullopt, std::nullopt, {}};
  for (const auto& [layer, row] : row_of_layer) {
    EVENKEEL_TRY_STATUS(parse_map_row(*row, fmt::format("{}.{}", where, layer), map.rows[map.layer_ids.size()]));
    map.layer_ids.push_back(layer);
  }
  return map;
}

}  // namespace evenkeel
