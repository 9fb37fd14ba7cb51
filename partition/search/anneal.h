#pragma once

#include <cstddef>
#include <cstdint>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// What items are spread over: GPUs, or whole nodes as a first step.
enum class Level { kGpus, kNodes };

struct AnnealOptions {
  Level level = Level::kGpus;
  std::uint64_t seed = 1;
  /// 1 or 2; the result is the same.
  std::size_t threads = 2;
};

/// Simulated annealing of resident communication by swaps inside layers, at constant time a proposal. Two ranges of
/// layers run at a time with a frozen layer between them, which moves; each has its own stream of random numbers, so
/// the result does not depend on the threads. Ends near a local optimum with loads near the threshold: a descent
/// follows. `part_of_item` [layers, items] holds GPUs, or with Level::kNodes nodes, each with its number of items.
/// Work: a unit a proposal. Needs traffic, and for Level::kNodes no replicas.
[[nodiscard]] Assignment anneal(const Instance& instance, Assignment part_of_item, const LoadGoal& goal,
                                BudgetSlice& slice, const AnnealOptions& options);

}  // namespace evenkeel
