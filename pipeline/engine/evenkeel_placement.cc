#include "pipeline/engine/evenkeel_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "pipeline/engine/json_fields.h"
#include "pipeline/engine/layer_ranges.h"
#include "pipeline/engine/map_rows.h"
#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

using nlohmann::json;

constexpr std::string_view kSchema = "evenkeel.placement/1";
const std::array<std::string, 8> kKeys{
    "schema", "layer_ids", "experts", "gpus", "nodes", "slots", "physical_to_logical_map", "shares"};

/// Slots of a GPU; generous, it only keeps sums from overflowing.
constexpr std::uint64_t kSlotsMax = 1'000'000;

template <class T>
Result<std::vector<T>> numbers(const json& value, const std::string& where, std::uint64_t most) {
  if (!value.is_array())
    return invalid_input(fmt::format("{} is {}; give a list of whole numbers", where, brief(value)));
  std::vector<T> list;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_number_integer() || value[i] < 0 || value[i] > most) {
      return invalid_input(fmt::format("{}[{}] is {}; give a whole number, 0 to {}", where, i, brief(value[i]), most));
    }
    list.push_back(value[i].get<T>());
  }
  return list;
}

Result<std::vector<std::uint32_t>> slots_of_gpu(const json& document, const std::string& path, std::size_t gpus,
                                                std::size_t slots) {
  if (document.contains("slots") && !document.at("slots").is_null()) {
    EVENKEEL_TRY(list, numbers<std::uint32_t>(document.at("slots"), fmt::format("{}: slots", path), kSlotsMax));
    if (list.size() != gpus)
      return invalid_input(
          fmt::format("{}: slots has {} entries but gpus is {}; give one each", path, list.size(), gpus));
    return list;
  }
  if (slots % gpus != 0) {
    return invalid_input(
        fmt::format("{}: {} slots do not divide over {} GPUs; give slots, a number for each GPU", path, slots, gpus));
  }
  return std::vector<std::uint32_t>(gpus, static_cast<std::uint32_t>(slots / gpus));
}

Result<std::optional<Grid<double>>> shares(const json& document, const std::string& path, std::size_t layers,
                                           std::size_t slots) {
  if (!document.contains("shares") || document.at("shares").is_null()) return std::optional<Grid<double>>();
  const json& rows = document.at("shares");
  Grid<double> result(layers, slots);
  const auto wrong = [&] {
    return invalid_input(
        fmt::format("{}: shares is {}; give {} lists of {} numbers", path, brief(rows), layers, slots));
  };
  if (!rows.is_array() || rows.size() != layers) return wrong();
  for (std::size_t layer = 0; layer < layers; ++layer) {
    if (!rows[layer].is_array() || rows[layer].size() != slots) return wrong();
    for (std::size_t slot = 0; slot < slots; ++slot) {
      if (!rows[layer][slot].is_number()) return wrong();
      result(layer, slot) = rows[layer][slot].get<double>();
    }
  }
  return std::optional(std::move(result));
}

Status check_keys(const json& document, const std::string& path) {
  EVENKEEL_TRY_STATUS(check_known_keys(document, path, kKeys));
  if (document.at("schema") != kSchema) {
    return invalid_input(
        fmt::format("{}: schema is {}; this program reads {}", path, brief(document.at("schema")), kSchema));
  }
  for (const char* key : {"layer_ids", "physical_to_logical_map"}) {
    if (!document.contains(key)) return invalid_input(fmt::format("{}: key '{}' is missing", path, key));
  }
  return {};
}

}  // namespace

std::string evenkeel_placement_text(const Placement& placement) {
  const Placement::Fields& fields = placement.fields();
  nlohmann::ordered_json document{{"schema", kSchema},
                                  {"layer_ids", fields.layer_ids},
                                  {"experts", fields.experts},
                                  {"gpus", placement.gpus()},
                                  {"nodes", fields.nodes},
                                  {"slots", nullptr},
                                  {"physical_to_logical_map", map_rows_json(fields.expert_of_slot)},
                                  {"shares", nullptr}};
  if (!placement.has_equal_slots()) document["slots"] = fields.slots_of_gpu;
  if (fields.shares) {
    auto rows = nlohmann::ordered_json::array();
    for (std::size_t layer = 0; layer < fields.shares->rows(); ++layer) {
      rows.push_back(std::vector<double>((*fields.shares)[layer].begin(), (*fields.shares)[layer].end()));
    }
    document["shares"] = std::move(rows);
  }
  return document.dump() + "\n";
}

Result<PlacementFile> parse_evenkeel_placement(const json& document, const std::string& path) {
  EVENKEEL_TRY_STATUS(check_keys(document, path));
  EVENKEEL_TRY(experts, whole_number_of(document, path, "experts", 1));
  EVENKEEL_TRY(gpus, whole_number_of(document, path, "gpus", 1));
  EVENKEEL_TRY(nodes, whole_number_of(document, path, "nodes", 1));
  EVENKEEL_TRY(layer_ids,
               numbers<int>(document.at("layer_ids"), fmt::format("{}: layer_ids", path), kLayerNumbersMax - 1));
  EVENKEEL_TRY(
      map, parse_map_rows(document.at("physical_to_logical_map"), fmt::format("{}: physical_to_logical_map", path)));
  EVENKEEL_TRY(slots, slots_of_gpu(document, path, gpus, map.cols()));
  EVENKEEL_TRY(share_rows, shares(document, path, map.rows(), map.cols()));
  auto placement = Placement::create({.layer_ids = std::move(layer_ids),
                                      .experts = experts,
                                      .nodes = nodes,
                                      .slots_of_gpu = std::move(slots),
                                      .expert_of_slot = std::move(map),
                                      .shares = std::move(share_rows)});
  if (!placement) return invalid_input(fmt::format("{}: {}", path, placement.error().message));
  return PlacementFile{*std::move(placement), std::nullopt, {}};
}

}  // namespace evenkeel
