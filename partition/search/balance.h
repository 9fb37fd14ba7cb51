#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Lowers the largest GPU load of every layer, towards its lower bound in load units [layers]: swaps that lower the
/// busiest GPU most, then annealings of loads alone, each twice as long as the one before, until the bound is met, they
/// no longer help or the slice ends. Traffic is not looked at. The same for 1 and 2 threads. Work: a unit a swap looked
/// at.
void balance_loads(const Instance& instance, std::span<const std::int64_t> bound_units, BudgetSlice& slice,
                   std::uint64_t seed, std::size_t threads, Assignment& assignment);

/// Largest GPU load of each layer, weighed by slowness [layers], in load units.
[[nodiscard]] std::vector<std::int64_t> largest_loads(const Instance& instance, const Assignment& assignment);

}  // namespace evenkeel
