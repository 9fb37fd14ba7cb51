#pragma once

#include <nlohmann/json.hpp>

#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Load over speed of each GPU in thousandths of its layer's mean [layers][gpus]; null for GPUs without slots, and in
/// layers without load. Pure.
[[nodiscard]] nlohmann::ordered_json gpu_load_json(const RoutingProfile& profile, const Placement& placement,
                                                   const Cluster& cluster);

/// Loads of each layer's experts, the hottest first, in thousandths of their mean [layers][experts]. Pure.
[[nodiscard]] nlohmann::ordered_json expert_load_json(const RoutingProfile& profile);

}  // namespace evenkeel
