#pragma once

#include <cstddef>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/foundation/result.h"
#include "partition/model/placement.h"

namespace evenkeel {

/// One expert that a GPU must receive because it did not hold it before.
struct ExpertCopy {
  LayerId layer;
  ExpertId expert;
  /// A GPU that holds the expert in the old placement: one that is not lost if there is one, then of the same node,
  /// then the lowest number. Where it is lost the expert comes from storage.
  GpuId from;
  GpuId to;
  bool operator==(const ExpertCopy&) const = default;
};

/// The copies that turn one placement into the next, in order of layer, receiving GPU and slot.
struct Migration {
  std::vector<ExpertCopy> copies;
  /// Share of all slots whose GPU did not hold that expert before.
  double churn = 0;
};

/// Whether a GPU has slots in the old placement and none in the new one.
[[nodiscard]] bool is_lost(const Placement& from, const Placement& to, GpuId gpu);

/// Fails with kInvalidInput where the two placements are not of the same layers, experts and GPUs.
[[nodiscard]] Result<Migration> migration(const Placement& from, const Placement& to);

/// `to` with the slots of each GPU in another order: an expert that a GPU holds in both placements is in the slot it
/// has in `from` (engines that load experts into place ask for this), what is new fills the other slots in the order of
/// `to`. Each GPU's experts and their shares stay the same. A GPU that has fewer slots than before keeps
/// those that it has. Fails with kInvalidInput where migration() would. Cost: layers x slots x slots of a GPU.
[[nodiscard]] Result<Placement> keep_slots(const Placement& from, const Placement& to);

}  // namespace evenkeel
