#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "partition/model/placement.h"
#include "partition/slots/replan_slots.h"

namespace evenkeel {

/// Fills the slots of a layer (all of it but `running`) from nothing: copies by the greedy rule, at least `copies_min`
/// of each expert, as many as keep each copy's cost at `copy_max` and beyond them where they cost least; the costliest
/// first to the GPU that is least loaded with it; no expert twice on a GPU. Needs at
/// least experts x copies_min slots, on no GPU more than experts, and as many GPUs with slots as copies_min.
[[nodiscard]] std::vector<ExpertIndex> pack_slots(const ReplanLayer& layer, std::size_t copies_min,
                                                  std::int64_t copy_max);

/// Fills the slots of a layer (all of it but `running`) from what ran in other slots of the same GPUs: what a GPU holds
/// stays as far as it has slots, replicas giving way first; experts that are left without a slot take the slots of
/// replicas, each where the largest load is then least. Moves are the fewest that leave every expert a slot and every
/// slot an expert. Needs at least as many slots as experts, on no GPU more than experts.
[[nodiscard]] std::vector<ExpertIndex> fill_slots(const ReplanLayer& layer, const Placement& running, LayerId row);

/// Whether each GPU holds each expert in a layer of a placement [experts, gpus].
[[nodiscard]] Grid<std::uint8_t> held_in(const Placement& placement, LayerId row);

}  // namespace evenkeel
