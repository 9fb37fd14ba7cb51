#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/slots/replan_frontier.h"
#include "partition/slots/replan_slots.h"

namespace evenkeel {

/// What a budget of moves, pooled over layers, is best spent on.
struct ReplannedLoads {
  /// What was found for each layer [layers], and the point taken of each: an index of points().
  std::vector<ReplanFrontier> frontiers;
  std::vector<std::size_t> chosen;
  /// Slots that still hold an expert their GPU holds too: the budget did not pay for their repair.
  std::size_t duplicates = 0;

  [[nodiscard]] const ReplanFrontier::Point& point(std::size_t layer) const {
    return *frontiers[layer].points()[chosen[layer]];
  }
};

/// Fills slots anew, at most `moves_max` moves away from the running placement: least sum over layers of max / mean
/// load, found by annealing the fewest moves for many largest loads and a knapsack over what that found. Before all
/// else, slots that hold an expert their GPU holds already are repaired; where the budget is not enough for that it
/// pays for nothing else. `bound_units` [layers] are lower bounds of the largest load; `hint` [layers, slots], if not
/// empty, is one more placement to consider. Layers without load do not move, but for repairs. The same for 1 and 2
/// threads. Work: a unit a proposal.
[[nodiscard]] ReplannedLoads replan_loads(std::span<const ReplanLayer> layers,
                                          std::span<const std::int64_t> bound_units, const Grid<ExpertIndex>& hint,
                                          std::size_t moves_max, BudgetSlice& slice, std::uint64_t seed,
                                          std::size_t threads);

}  // namespace evenkeel
