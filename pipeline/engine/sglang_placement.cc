#include "pipeline/engine/sglang_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "pipeline/engine/layer_ranges.h"
#include "pipeline/engine/map_rows.h"

namespace evenkeel {
namespace {

/// What stands in a slot of a layer without experts, and in every layer before any placement.
ExpertIndex start_expert(std::size_t slot, std::size_t experts) { return static_cast<ExpertIndex>(slot % experts); }

bool is_start_row(std::span<const ExpertIndex> row, std::size_t experts) {
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    if (row[slot] != start_expert(slot, experts)) return false;
  }
  return true;
}

/// Rows that hold what they hold before any placement, or the others, among those with `is_of(row)`.
template <class Predicate>
std::vector<int> rows_that(const Grid<ExpertIndex>& rows, bool are_start, Predicate&& is_of) {
  const std::size_t experts = std::size_t{*std::ranges::max_element(rows.cells())} + 1;
  std::vector<int> found;
  for (std::size_t row = 0; row < rows.rows(); ++row) {
    const auto number = static_cast<int>(row);
    if (is_of(number) && is_start_row(rows[row], experts) == are_start) found.push_back(number);
  }
  return found;
}

/// Every row, for a row as at the start may be one that a planner left so; with a note where there are such.
std::vector<int> every_row(const Grid<ExpertIndex>& rows, std::vector<Note>& notes) {
  const std::vector<int> start = rows_that(rows, true, [](int) { return true; });
  if (!start.empty()) {
    notes.push_back({fmt::format("rows {} hold expert i % E in slot i, as those of dense layers do; they are taken for "
                                 "MoE layers unless a model or layer ids say otherwise",
                                 layer_ranges_text(start)),
                     {"model", "layer_ids"}});
  }
  std::vector<int> layers(rows.rows());
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

/// Holds the number of rows against the layers that are known.
Status check_rows(std::size_t rows, const PlacementHints& hints, const std::string& path) {
  const auto last = static_cast<std::size_t>(hints.layer_ids.back());
  if (hints.hidden_layers && rows != *hints.hidden_layers) {
    return invalid_input(
        fmt::format("{}: physical_to_logical_map has {} rows but there are {} layers, dense ones included; SGLang's "
                    "maps have a row for every hidden layer, so give the map of that model",
                    path, rows, *hints.hidden_layers),
        {"model", "layer_ids"});
  }
  if (rows > last) return {};
  return invalid_input(
      fmt::format("{}: physical_to_logical_map has {} rows but the model's last MoE layer is {}; SGLang's maps have "
                  "a row for every hidden layer",
                  path, rows, last));
}

}  // namespace

std::size_t hidden_layers_of(const Placement& placement, const ModelShape& shape) {
  return shape.hidden_layers.value_or(static_cast<std::size_t>(placement.layer_ids().back()) + 1);
}

Result<std::string> sglang_placement_text(const Placement& placement, const ModelShape& shape) {
  EVENKEEL_TRY_STATUS(check_equal_slots(placement, "SGLang"));
  const std::size_t hidden_layers = hidden_layers_of(placement, shape);
  const auto last = static_cast<std::size_t>(placement.layer_ids().back());
  if (hidden_layers <= last || hidden_layers > kLayerNumbersMax) {
    return invalid_input(fmt::format("{} hidden layers do not hold the MoE layers {}; give {} to {}", hidden_layers,
                                     layer_ranges_text(placement.layer_ids()), last + 1, kLayerNumbersMax),
                         {"hidden_layers"});
  }
  Grid<ExpertIndex> rows(hidden_layers, placement.slots());
  for (std::size_t layer = 0; layer < rows.rows(); ++layer) {
    for (std::size_t slot = 0; slot < rows.cols(); ++slot) rows(layer, slot) = start_expert(slot, placement.experts());
  }
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    std::ranges::copy(placement.row(LayerId(layer)),
                      rows[static_cast<std::size_t>(placement.layer_ids()[layer])].begin());
  }
  return nlohmann::ordered_json{{"physical_to_logical_map", map_rows_json(rows)}}.dump() + "\n";
}

Result<PlacementFile> parse_sglang_placement(const nlohmann::json& document, const std::string& path,
                                             const PlacementHints& hints) {
  if (document.size() != 1)
    return invalid_input(
        fmt::format("{}: it has keys beside physical_to_logical_map, which SGLang refuses; remove them", path));
  EVENKEEL_TRY(
      rows, parse_map_rows(document.at("physical_to_logical_map"), fmt::format("{}: physical_to_logical_map", path)));
  EngineMap map{hints.layer_ids, {}, std::nullopt, rows.rows(), {}};
  if (map.layer_ids.empty()) {
    map.layer_ids = every_row(rows, map.notes);
  } else {
    EVENKEEL_TRY_STATUS(check_rows(rows.rows(), hints, path));
    const auto lost = rows_that(rows, false, [&](int row) { return !std::ranges::binary_search(map.layer_ids, row); });
    if (!lost.empty())
      map.notes.push_back(
          {fmt::format("rows {} are none of the MoE layers and are left out", layer_ranges_text(lost))});
  }
  map.rows = Grid<ExpertIndex>(map.layer_ids.size(), rows.cols());
  for (std::size_t layer = 0; layer < map.rows.rows(); ++layer) {
    std::ranges::copy(rows[static_cast<std::size_t>(map.layer_ids[layer])], map.rows[layer].begin());
  }
  return placement_of(std::move(map), hints, path);
}

}  // namespace evenkeel
