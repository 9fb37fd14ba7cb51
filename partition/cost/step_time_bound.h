#pragma once

#include <chrono>
#include <cstddef>

#include "partition/cost/step_time.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// A step of no placement with `redundant` spare slots a layer on so many equal GPUs computes for less: sum over layers
/// of the larger of c x the bound of the largest load (load_bound()) and the mean over GPUs of c load + a activated,
/// where one copy of each expert activates the fewest, and what is beside the experts. Communication is left out, which
/// holds however much of it overlaps. Pure.
[[nodiscard]] std::chrono::duration<double> step_time_bound(const RoutingProfile& profile, std::size_t gpus,
                                                            std::size_t redundant, const StepTimeModel& model);

}  // namespace evenkeel
