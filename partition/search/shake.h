#pragma once

#include <cstddef>
#include <cstdint>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// Layers times items up to which shaking finds more than a longer annealing. Measured from 3 x 4 to 26 x 64: at 6 x 32
/// it depends on the budget, from 12 x 32 on annealing is better.
inline constexpr std::size_t kShakenItemsMax = 256;

/// Iterated local search of resident communication: a few random swaps, a descent, and back where that was no better,
/// until the slice ends. Small instances have deep local optima, between which load keeps an annealing from passing: a
/// swap shifts a large part of a GPU's load. Needs traffic and a start within the caps; so is the result, and it is
/// never worse. Deterministic for a seed, apart from where a wall budget ends it. Work: a unit a swap looked at.
[[nodiscard]] Assignment shake(const Instance& instance, const Assignment& start, const LoadGoal& goal,
                               BudgetSlice& slice, std::uint64_t seed);

}  // namespace evenkeel
