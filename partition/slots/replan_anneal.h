#pragma once

#include <cstddef>
#include <cstdint>

#include "partition/foundation/budget.h"
#include "partition/foundation/random.h"
#include "partition/slots/replan_frontier.h"
#include "partition/slots/replan_slots.h"

namespace evenkeel {

/// Repairs slots that hold an expert their GPU holds already, at most `moves_max` of them, in order of slots: each
/// takes the expert that leaves the lowest largest load. One move a repair, and there is no cheaper way. Returns the
/// moves.
std::size_t repair_duplicates(ReplanSlots& slots, std::size_t moves_max);

/// Offers the slots and all that one exchange or one replacement makes of them. Slots squared times GPUs.
void offer_first_moves(ReplanSlots& slots, ReplanFrontier& frontier);

/// Anneals the fewest moves with every GPU at most at `target` mean loads: exchanges between two GPUs, slots that
/// give up a copy of a replicated expert for another, and two such replacements at once. Ends with the slice, at the
/// latest after so many proposals. Temperatures are multiplied by `heat`: 1 for layers of many slots. What it passes is
/// offered to the frontier. Needs slots without duplicates. Work: a unit a proposal.
void anneal_moves(ReplanSlots& slots, double target, double heat, std::uint64_t proposals_max, Random& random,
                  BudgetSlice& slice, ReplanFrontier& frontier);

}  // namespace evenkeel
