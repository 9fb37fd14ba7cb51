#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "partition/model/placement.h"
#include "partition/model/result.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// SGLang's --init-expert-location JSON: the one key physical_to_logical_map, a row for every hidden layer (any other
/// key is a TypeError there). Rows of dense layers, which SGLang does not use, hold expert i % E in slot i. Fails with
/// kInfeasible for unequal slots or uneven shares, which SGLang has no place for.
[[nodiscard]] Result<std::string> sglang_placement_text(const Placement& placement, const ModelShape& shape);

/// The rows of the layers of `shape`. Fails with kInvalidInput.
[[nodiscard]] Result<Placement> parse_sglang_placement(const nlohmann::json& document, const std::string& path,
                                                       const ModelShape& shape, std::size_t gpus, std::size_t nodes);

}  // namespace evenkeel
