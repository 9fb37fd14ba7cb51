#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// The split of one layer's tokens over the replicas that has the least largest GPU load.
struct LayerSplit {
  /// In the unit of the loads: load of the experts that bind over the GPUs that hold them.
  double largest_load = 0;
  /// Share of its expert's tokens each slot serves [slots]; an even split for experts without load.
  std::vector<double> share_of_slot;
};

/// Exact: the least cap z is the largest ratio, over sets of experts, of their load to the GPUs that hold one of them
/// (max-flow min-cut). Newton's steps from the mean: where a flow under the cap is short of the load, the minimum cut
/// names a set that needs more. Loads [experts] are not negative, at most kLayerTokensMax in all; every expert with
/// load has a slot; `gpu_of_slot` [slots] is below `gpus`. A few maximum flows.
[[nodiscard]] LayerSplit split_layer(std::span<const std::uint64_t> load, std::span<const ExpertIndex> expert_of_slot,
                                     std::span<const std::uint16_t> gpu_of_slot, std::size_t gpus);

/// The same placement with the shares that minimise the largest GPU load of every layer on all windows together.
[[nodiscard]] Placement with_uneven_shares(const Placement& placement, const RoutingProfile& profile,
                                           std::size_t threads);

}  // namespace evenkeel
