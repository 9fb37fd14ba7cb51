#pragma once

#include "partition/model/cluster.h"
#include "partition/model/routing_profile.h"
#include "partition/problem/options.h"

namespace evenkeel {

/// What a solver is asked for: the arguments of place(), whole, so that another process can be asked.
struct PlanRequest {
  RoutingProfile profile;
  Cluster cluster;
  PlaceOptions options;
  bool operator==(const PlanRequest&) const = default;
};

}  // namespace evenkeel
