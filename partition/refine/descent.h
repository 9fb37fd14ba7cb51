#pragma once

#include <cstdint>
#include <span>

#include "partition/model/arrangement.h"
#include "partition/model/budget.h"

namespace evenkeel {

/// Lowers communication by swaps inside layers, best partner first, until no swap helps or the budget ends. A GPU may
/// go beyond its layer's cap [layers] at the price of `excess_price` (share of one round pair) for each mean GPU load
/// of excess; with infinity a swap may never raise the excess of a layer, and lowers it before all else. Deterministic,
/// apart from where a wall budget ends it. Returns whether it converged.
bool descend(Arrangement& arrangement, std::span<const std::int64_t> cap_units, double excess_price, Budget& budget);

/// Brings an arrangement from any loads to within the caps while it lowers communication: descents with a price on
/// excess load that rises to infinity. A layer that swaps alone cannot bring within its cap takes the assignment of
/// `within_caps`, GPUs renamed to keep most traffic.
void descend_to_caps(Arrangement& arrangement, std::span<const std::int64_t> cap_units, const Assignment& within_caps,
                     Budget& budget);

}  // namespace evenkeel
