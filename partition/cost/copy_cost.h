#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/foundation/grid.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// What one copy of each expert of a layer brings a GPU of speed 1, where the expert has 1, 2, ... `copies_max` copies
/// and an even split [layers] of [experts, copies_max]: its load in load units, or with a time model its modelled time
/// in femtoseconds, c x tokens and a where it is touched. Zeros for a layer without load.
[[nodiscard]] std::vector<Grid<std::int64_t>> copy_costs(const RoutingProfile& profile, std::size_t copies_max,
                                                         const std::optional<StepTimeModel>& time_model);

/// Units of copy_costs() in a second.
inline constexpr double kCostUnitsPerSecond = 1e15;

}  // namespace evenkeel
