#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// Each layer of a start brought within its cap by swap descents; layers that end beyond it are those of `within_caps`.
/// Layers do not touch one another in dispatch communication, and are shared out over the threads; the result is the
/// same for 1 and 2. Work: a unit a swap looked at.
[[nodiscard]] Assignment descend_dispatch(const Instance& instance, const Assignment& start,
                                          const Assignment& within_caps, const LoadGoal& goal, BudgetSlice& slice,
                                          std::size_t threads);

/// Layer by layer the assignment that touches less; both within the caps.
[[nodiscard]] Assignment better_layers(const Instance& instance, const Assignment& a, const Assignment& b);

/// Simulated annealing of each layer by swaps with exact gains, followed by a descent; keeps what it started from where
/// that was better. Needs a start within the caps. Work: a unit a proposal, and what a swap visits.
[[nodiscard]] Assignment anneal_dispatch(const Instance& instance, const Assignment& start, const LoadGoal& goal,
                                         BudgetSlice& slice, std::uint64_t seed, std::size_t threads);

}  // namespace evenkeel
