#include "pipeline/engine/engine_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace evenkeel {

Result<PlacementFile> placement_of(EngineMap map, const PlacementHints& hints, const std::string& path) {
  const auto gpus = map.gpus ? map.gpus : hints.gpus;
  const std::size_t slots = map.rows.cols();
  if (!gpus)
    return invalid_input(fmt::format("{}: its format does not hold the number of GPUs; give it", path), {"gpus"});
  if (*gpus == 0 || slots % *gpus != 0) {
    return invalid_input(fmt::format("{}: {} slots do not divide over {} GPUs; give the number the map was made for",
                                     path, slots, *gpus),
                         {"gpus"});
  }
  const std::size_t largest = *std::ranges::max_element(map.rows.cells());
  if (largest >= slots) {
    return invalid_input(fmt::format("{}: it holds expert {} but has {} slots a layer; every expert needs at least one",
                                     path, largest, slots));
  }
  auto placement =
      Placement::create({.layer_ids = std::move(map.layer_ids),
                         .experts = hints.experts.value_or(largest + 1),
                         .nodes = hints.nodes,
                         .slots_of_gpu = std::vector<std::uint32_t>(*gpus, static_cast<std::uint32_t>(slots / *gpus)),
                         .expert_of_slot = std::move(map.rows),
                         .shares = std::nullopt});
  if (!placement) return tl::unexpected(placement.error().about(path));
  return PlacementFile{*std::move(placement), map.hidden_layers, std::move(map.notes)};
}

Result<std::vector<int>> layers_from_zero(std::size_t rows, const PlacementHints& hints, const std::string& path) {
  if (hints.layer_ids.empty()) {
    std::vector<int> layers(rows);
    std::iota(layers.begin(), layers.end(), 0);
    return layers;
  }
  if (hints.layer_ids.size() == rows) return hints.layer_ids;
  return invalid_input(fmt::format("{}: it has {} layers but {} MoE layers are expected; give the map of that model, "
                                   "or say which are its MoE layers",
                                   path, rows, hints.layer_ids.size()),
                       {"model", "layer_ids"});
}

Status check_equal_slots(const Placement& placement, const char* engine) {
  if (placement.has_equal_slots()) return {};
  return infeasible(fmt::format("{} wants equal slots on every GPU; this placement's differ", engine));
}

}  // namespace evenkeel
