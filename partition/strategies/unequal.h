#pragma once

#include "partition/foundation/budget.h"
#include "partition/place.h"

namespace evenkeel {

/// Whether a problem is for place_unequally(): GPUs that differ in speed or slots, a running placement with other slots
/// than are asked for, or load that is modelled time.
[[nodiscard]] bool is_unequal(const Cluster& cluster, const PlaceOptions& options, std::size_t experts);

/// place() for such problems, with strategy kEvenkeel: annealing of exchanges and replacements towards the least
/// largest load over speed of each layer, from a greedy packing or the running placement; then, with token paths, of
/// exchanges for communication within the slack. Slots that are gone are made up for with the fewest moves that leave
/// every expert a slot; a budget of moves comes on top of these. Fails with kInvalidInput for what it does not keep
/// (weights, an uneven split), kInfeasible where the slots do not hold every expert as often as asked.
[[nodiscard]] Result<Solution> place_unequally(const RoutingProfile& profile, const Cluster& cluster,
                                               const PlaceOptions& options, Budget& budget,
                                               const StageObserver& observer);

}  // namespace evenkeel
