#pragma once

#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// DeepSeek's expert-parallel load balancer (github.com/deepseek-ai/EPLB), step for step and in its float arithmetic,
/// in its global form: replicas and GPUs without regard to nodes. May hold an expert twice on a GPU. Ties by number.
/// Fails with kInfeasible.
[[nodiscard]] Result<Placement> eplb_placement(const RoutingProfile& profile, const Cluster& cluster,
                                               std::size_t redundant);

/// The same in its hierarchical form: groups of neighbouring experts to nodes, replicas inside a node, then GPUs. Fails
/// with kInfeasible, and with kInvalidInput where groups do not divide over the nodes: there it does not exist.
[[nodiscard]] Result<Placement> eplb_hierarchical_placement(const RoutingProfile& profile, const Cluster& cluster,
                                                            std::size_t redundant, std::size_t groups);

}  // namespace evenkeel
