#pragma once

#include <cstddef>

#include "partition/foundation/result.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// The placement, GPUs renamed as far as its cost allows, so that the fewest slots move from the running one; layers
/// without load as they run, where they hold no expert twice on a GPU.
[[nodiscard]] Placement with_few_moves(const Placement& running, const Placement& placement,
                                       const RoutingProfile& profile, const Objective& objective);

/// Slots whose GPU did not hold their expert before. Fails as migration().
[[nodiscard]] Result<std::size_t> count_moves(const Placement& from, const Placement& to);

}  // namespace evenkeel
