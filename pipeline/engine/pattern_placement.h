#pragma once

#include <filesystem>

#include "partition/foundation/result.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Reads omni-infer's placement pattern: a NumPy array [ranks, layers, experts] of 1 where a rank holds an expert and 0
/// elsewhere. Every rank holds equally many experts in every layer; slots of a GPU come in the order of experts. Fails
/// with kInvalidInput, also where the array is no such pattern.
[[nodiscard]] Result<PlacementFile> read_pattern_placement(const std::filesystem::path& path,
                                                           const PlacementHints& hints);

}  // namespace evenkeel
