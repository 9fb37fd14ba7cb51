#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/model/budget.h"
#include "partition/model/instance.h"
#include "partition/refine/load_goal.h"

namespace evenkeel {

/// Each layer of each start brought within its cap by swap descents; layer by layer the best one. Layers do not touch
/// one another in dispatch communication, and are shared out over the threads; the result is the same for 1 and 2.
/// `within_caps` stands in where descents end beyond the cap. Work: a unit a swap looked at.
[[nodiscard]] Assignment descend_dispatch(const Instance& instance, std::span<const Assignment> starts,
                                          const Assignment& within_caps, const LoadGoal& goal, BudgetSlice& slice,
                                          std::size_t threads);

/// Simulated annealing of each layer by swaps with exact gains, followed by a descent; keeps what it started from where
/// that was better. Needs a start within the caps. Work: a unit a proposal, and what a swap visits.
[[nodiscard]] Assignment anneal_dispatch(const Instance& instance, const Assignment& start, const LoadGoal& goal,
                                         BudgetSlice& slice, std::uint64_t seed, std::size_t threads);

}  // namespace evenkeel
