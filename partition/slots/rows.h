#pragma once

#include <cstdint>
#include <vector>

#include "partition/model/instance.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"
#include "partition/slots/replan_slots.h"

namespace evenkeel {

/// The slots of a placement, with the profile's loads of all windows, as searches over slots take them [layers].
[[nodiscard]] std::vector<ReplanLayer> replan_layers(const RoutingProfile& profile, const Placement& running);

/// The same placement with other experts in its slots [layers, slots], each at least once, and an even split.
[[nodiscard]] Placement with_rows(const Placement& placement, Grid<ExpertIndex> rows);

/// Slots that hold each expert [layers, experts].
[[nodiscard]] Grid<std::uint16_t> copies_of(const Placement& placement);

/// What to_placement() makes of an assignment, back again. The instance has the placement's copies.
[[nodiscard]] Assignment to_assignment(const Instance& instance, const Placement& placement);

}  // namespace evenkeel
