#pragma once

#include <chrono>

#include "partition/foundation/budget.h"
#include "partition/model/arrangement.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// Lowers communication, with the weight of the goal on peak loads, by swaps inside layers, best partner first, until
/// no swap helps or the slice ends. Where the goal is a cap a GPU may go beyond it at the price of `excess_price`
/// (share of one round pair) for each mean GPU load of excess; with infinity a swap may never raise the excess of a
/// layer, and lowers it before all else. Deterministic, apart from where a wall budget ends it. Work: a unit a swap
/// looked at. Returns whether it converged.
bool descend(Arrangement& arrangement, const LoadGoal& goal, double excess_price, BudgetSlice& slice);

/// Brings an arrangement from any loads to the goal while it lowers communication. For a cap: descents with a price on
/// excess load that rises to infinity; a layer that swaps alone cannot bring within its cap takes the assignment of
/// `within_caps`, its GPUs renamed to keep most traffic.
void descend_to_goal(Arrangement& arrangement, const LoadGoal& goal, const Assignment& within_caps, BudgetSlice& slice);

/// Gives every layer that is beyond its cap the assignment of `within_caps`, renamed. Returns whether any was.
bool restore_caps(Arrangement& arrangement, const LoadGoal& goal, const Assignment& within_caps);

/// What a descent from an arrangement without structure takes on a machine of 2024: about ten passes over all pairs.
[[nodiscard]] std::chrono::duration<double> descent_estimate(const Instance& instance);

}  // namespace evenkeel
