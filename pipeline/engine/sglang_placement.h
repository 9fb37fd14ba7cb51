#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "partition/foundation/result.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Rows SGLang wants: the hidden layers of `shape`, or where it does not tell, the last MoE layer + 1.
[[nodiscard]] std::size_t hidden_layers_of(const Placement& placement, const ModelShape& shape);

/// SGLang's --init-expert-location JSON: the one key physical_to_logical_map, a row for every hidden layer (any other
/// key is a TypeError there). Rows of dense layers, which SGLang does not use, hold expert i % E in slot i. Fails with
/// kInfeasible for unequal slots, kInvalidInput where there are fewer hidden layers than the last MoE layer needs.
[[nodiscard]] Result<std::string> sglang_placement_text(const Placement& placement, const ModelShape& shape);

/// The rows of the hinted layers, with a note where another row holds a placement. Without hints every row is an MoE
/// layer's, with a note of those that hold i % E in slot i, as dense layers' do. Fails with kInvalidInput, also where
/// there are other rows than the hinted hidden layers.
[[nodiscard]] Result<PlacementFile> parse_sglang_placement(const nlohmann::json& document, const std::string& path,
                                                           const PlacementHints& hints);

}  // namespace evenkeel
