#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partition/foundation/budget.h"
#include "partition/model/arrangement.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Lowers the robust peak of every layer by annealings of loads alone, each twice as long as the one before, until they
/// no longer help or the slice ends. The same for 1 and 2 threads. Needs windows. Work: a unit a swap looked at.
void balance_windows(const Instance& instance, BudgetSlice& slice, std::uint64_t seed, std::size_t threads,
                     Assignment& assignment);

/// Lowers resident communication by swaps inside layers, best partner first, until no swap helps or the slice ends, and
/// brings every layer's robust peak to its cap [layers] or below: by swaps; where they do not do, by the assignment of
/// `within_caps`, its GPUs renamed to keep most traffic. Needs windows. Work: a unit a swap looked at.
void descend_windows(Arrangement& arrangement, std::span<const double> peak_max, const Assignment& within_caps,
                     BudgetSlice& slice);

}  // namespace evenkeel
