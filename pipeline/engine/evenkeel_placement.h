#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "partition/foundation/result.h"
#include "partition/model/placement.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// evenkeel's own placement JSON ("evenkeel.placement/1"): MoE layers only, slots of all GPUs in order.
[[nodiscard]] std::string evenkeel_placement_text(const Placement& placement);

/// The reverse; every field is checked. Fails with kInvalidInput, naming `path` and field.
[[nodiscard]] Result<PlacementFile> parse_evenkeel_placement(const nlohmann::json& document, const std::string& path);

}  // namespace evenkeel
