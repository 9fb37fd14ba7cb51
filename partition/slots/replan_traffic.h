#pragma once

#include <cstddef>
#include <cstdint>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/model/placement.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// Lowers communication, resident or dispatch, by swaps inside layers, at most `moves_max` moves away from the running
/// placement and with every layer within its cap: a descent, then an annealing in which a move has a price that follows
/// whether the budget is met. Needs a start within both; so is the result, and it is never worse. One thread. Work: a
/// unit a swap looked at.
[[nodiscard]] Assignment replan_traffic(const Instance& instance, const Assignment& start, const Placement& running,
                                        const LoadGoal& caps, std::size_t moves_max, Budget& budget,
                                        std::uint64_t seed);

}  // namespace evenkeel
