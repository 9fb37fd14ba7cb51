#pragma once

#include <cstdint>

#include "partition/foundation/grid.h"
#include "partition/model/placement.h"

namespace evenkeel {

/// max / mean GPU load, mean over loaded layers; 1 without load. Pure. Cost: a pass over the map and the counts
/// [layers, experts].
[[nodiscard]] double imbalance_mean(const Grid<std::uint64_t>& load_tokens, const Placement& placement);

}  // namespace evenkeel
