#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "partition/foundation/result.h"
#include "partition/model/placement.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Layers that TensorRT-LLM changes in an iteration, 0 for a map that stays; may be left out.
inline constexpr const char* kUpdatesKey = "layer_updates_per_iter";

/// TensorRT-LLM's load balancer YAML with exactly its three keys, by absolute layer number; layer_updates_per_iter is
/// 0, a map that stays. Fails with kInfeasible for unequal slots.
[[nodiscard]] Result<std::string> trtllm_placement_text(const Placement& placement);

/// The reverse. Fails with kInvalidInput, also where num_slots is not what the rows hold.
[[nodiscard]] Result<PlacementFile> parse_trtllm_placement(const nlohmann::json& document, const std::string& path,
                                                           const PlacementHints& hints);

}  // namespace evenkeel
