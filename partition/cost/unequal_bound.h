#pragma once

#include <cstdint>
#include <span>

#include "partition/foundation/grid.h"

namespace evenkeel {

/// Lower bound of the largest cost / speed of a GPU in a layer, with so many slots on each GPU [gpus]; GPUs without
/// slots count for nothing. `copy_cost` is of copy_costs() [experts, copies]. The largest of: all cost over all speeds;
/// the costliest copy of the most replicated way on the fastest GPU; with one copy of each expert, for the slowest GPUs
/// together the least that their slots hold, and for m = 1, 2, ...: the m costliest on some k GPUs; with replicas on
/// GPUs of several speeds, the Lagrangian dual of numbers of copies and what the slower GPUs hold of them, where
/// that is asked for. Pure. Experts x GPUs after a sort; the dual experts x copies x 1,300 for each speed.
[[nodiscard]] double unequal_bound(const Grid<std::int64_t>& copy_cost, std::span<const std::uint32_t> slots,
                                   std::span<const double> speeds, bool with_dual);

}  // namespace evenkeel
