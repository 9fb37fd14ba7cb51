#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Key of the maps that vLLM's pull request 41141 and TensorRT-LLM share.
inline constexpr const char* kAssignmentsKey = "initial_global_assignments";

/// The rows of that object, from layer number to `slots` experts, by ascending layer. `where` names file and field in
/// messages. Fails with kInvalidInput.
[[nodiscard]] Result<EngineMap> parse_layer_assignments(const nlohmann::json& assignments, std::size_t slots,
                                                        const std::string& where);

}  // namespace evenkeel
