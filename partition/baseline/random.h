#pragma once

#include <cstdint>

#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// The contiguous placement with each layer's slots shuffled. Deterministic for a seed. Fails with kInfeasible.
[[nodiscard]] Result<Placement> random_placement(const RoutingProfile& profile, const Cluster& cluster,
                                                 std::size_t redundant, std::uint64_t seed);

}  // namespace evenkeel
