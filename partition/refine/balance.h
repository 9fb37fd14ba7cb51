#pragma once

#include <cstdint>
#include <vector>

#include "partition/model/arrangement.h"
#include "partition/model/budget.h"

namespace evenkeel {

/// Lowers the largest GPU load of every layer by swaps, each time the one that lowers the busiest GPU most, until none
/// does or the budget ends. Traffic is not looked at. Deterministic.
void balance_loads(Arrangement& arrangement, Budget& budget);

/// Largest GPU load of each layer [layers], in load units.
[[nodiscard]] std::vector<std::int64_t> largest_loads(const Arrangement& arrangement);

}  // namespace evenkeel
