#include "pipeline/engine/sglang_placement.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/engine/map_rows.h"

namespace evenkeel {
namespace {

std::size_t hidden_layers(const ModelShape& shape) {
  return shape.hidden_layers.value_or(static_cast<std::size_t>(shape.layer_ids.back()) + 1);
}

}  // namespace

Result<std::string> sglang_placement_text(const Placement& placement, const ModelShape& shape) {
  if (!placement.has_equal_slots()) return infeasible("SGLang wants equal slots on every GPU; this placement's differ");
  if (placement.fields().shares)
    return infeasible("SGLang splits tokens evenly over replicas; this placement has uneven shares");
  Grid<ExpertIndex> rows(hidden_layers(shape), placement.slots());
  for (std::size_t layer = 0; layer < rows.rows(); ++layer) {
    for (std::size_t slot = 0; slot < rows.cols(); ++slot)
      rows(layer, slot) = static_cast<ExpertIndex>(slot % placement.experts());
  }
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    std::ranges::copy(placement.row(LayerId(layer)),
                      rows[static_cast<std::size_t>(placement.layer_ids()[layer])].begin());
  }
  return nlohmann::ordered_json{{"physical_to_logical_map", map_rows_json(rows)}}.dump() + "\n";
}

Result<Placement> parse_sglang_placement(const nlohmann::json& document, const std::string& path,
                                         const ModelShape& shape, std::size_t gpus, std::size_t nodes) {
  if (document.size() != 1)
    return invalid_input(
        fmt::format("{}: it has keys beside physical_to_logical_map, which SGLang refuses; remove them", path));
  EVENKEEL_TRY(
      rows, parse_map_rows(document.at("physical_to_logical_map"), fmt::format("{}: physical_to_logical_map", path)));
  if (rows.rows() <= static_cast<std::size_t>(shape.layer_ids.back())) {
    return invalid_input(
        fmt::format("{}: physical_to_logical_map has {} rows but the model's last MoE layer is {}; SGLang's maps have "
                    "a row for every hidden layer",
                    path, rows.rows(), shape.layer_ids.back()));
  }
  if (gpus == 0 || rows.cols() % gpus != 0) {
    return invalid_input(fmt::format("{}: {} slots do not divide over {} GPUs; give the --gpus the map was made for",
                                     path, rows.cols(), gpus));
  }
  Grid<ExpertIndex> map(shape.layers(), rows.cols());
  for (std::size_t layer = 0; layer < map.rows(); ++layer) {
    std::ranges::copy(rows[static_cast<std::size_t>(shape.layer_ids[layer])], map[layer].begin());
  }
  const auto slots_per_gpu = static_cast<std::uint32_t>(map.cols() / gpus);
  auto placement = Placement::create({.layer_ids = shape.layer_ids,
                                      .experts = shape.experts,
                                      .nodes = nodes,
                                      .slots_of_gpu = std::vector<std::uint32_t>(gpus, slots_per_gpu),
                                      .expert_of_slot = std::move(map),
                                      .shares = std::nullopt});
  if (!placement) return invalid_input(fmt::format("{}: {}", path, placement.error().message));
  return placement;
}

}  // namespace evenkeel
