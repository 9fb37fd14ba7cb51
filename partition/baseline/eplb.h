#pragma once

#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// DeepSeek's expert-parallel load balancer (github.com/deepseek-ai/EPLB), step for step and in its float arithmetic:
/// hierarchical (groups to nodes, replicas inside a node, then GPUs) where groups divide over nodes, else global. May
/// hold an expert twice on a GPU. Ties by number. Fails with kInfeasible.
[[nodiscard]] Result<Placement> eplb_placement(const RoutingProfile& profile, const Cluster& cluster,
                                               std::size_t redundant, std::size_t groups);

}  // namespace evenkeel
