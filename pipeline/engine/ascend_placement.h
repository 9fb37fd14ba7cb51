#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "partition/foundation/result.h"
#include "partition/model/placement.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// vllm-ascend's expert map JSON, which it reads from names that end in .json. Layers are MoE layers from 0. Fails with
/// kInfeasible for unequal slots and for an expert twice on a device, which vllm-ascend refuses.
[[nodiscard]] Result<std::string> ascend_placement_text(const Placement& placement);

/// The reverse. Fails with kInvalidInput, also where counts lie, layers or devices are out of order, or a device holds
/// an expert twice.
[[nodiscard]] Result<PlacementFile> parse_ascend_placement(const nlohmann::json& document, const std::string& path,
                                                           const PlacementHints& hints);

}  // namespace evenkeel
