#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "partition/foundation/result.h"
#include "partition/model/placement.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Value of record_type in the map of vLLM's pull request 41141.
inline constexpr const char* kVllmMapRecord = "eplb_initial_mapping";

/// The one JSON line of vLLM's pull request 41141. Layers are MoE layers from 0. Fails with kInfeasible for unequal
/// slots.
[[nodiscard]] Result<std::string> vllm_placement_text(const Placement& placement);
/// The reverse. Fails with kInvalidInput, also where num_slots or num_redundant_experts is not what the rows hold.
[[nodiscard]] Result<PlacementFile> parse_vllm_placement(const nlohmann::json& document, const std::string& path,
                                                         const PlacementHints& hints);

/// A list of experts for each MoE layer, as vLLM's pull request 49572 reads it. Fails with kInfeasible for unequal
/// slots.
[[nodiscard]] Result<std::string> vllm_list_placement_text(const Placement& placement);
/// The reverse; one flat list stands for every layer, so the hints must say which these are. Fails with kInvalidInput.
[[nodiscard]] Result<PlacementFile> parse_vllm_list_placement(const nlohmann::json& document, const std::string& path,
                                                              const PlacementHints& hints);

}  // namespace evenkeel
