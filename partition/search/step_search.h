#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/search/step_goal.h"

namespace evenkeel {

/// Expected modelled seconds of one layer, exact over the goal's samples.
[[nodiscard]] double layer_seconds(const Instance& instance, const StepGoal& goal, std::size_t layer,
                                   std::span<const GpuIndex> gpu_of_item);

/// The same of all layers.
[[nodiscard]] double step_seconds(const Instance& instance, const StepGoal& goal, const Assignment& assignment);

/// Of two assignments the layers that take less expected time.
[[nodiscard]] Assignment faster_layers(const Instance& instance, const StepGoal& goal, const Assignment& a,
                                       const Assignment& b);

/// Simulated annealing of each layer by swaps, for the least expected time; keeps what it started from where that was
/// better. The largest of several loads is taken smoothly, closer and closer to the largest. Work: a unit a proposal,
/// and what a swap visits.
[[nodiscard]] Assignment anneal_step(const Instance& instance, const StepGoal& goal, const Assignment& start,
                                     BudgetSlice& slice, std::uint64_t seed, std::size_t threads);

}  // namespace evenkeel
