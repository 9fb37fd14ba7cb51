#pragma once

#include "partition/model/placement.h"

namespace evenkeel {

/// Which renamings of GPUs leave a placement as good as it is.
enum class RenameScope {
  kEachLayer,         ///< Loads alone count: any, in each layer by itself.
  kEachLayerInNodes,  ///< Dispatch: GPUs inside a node and whole nodes, in each layer by itself.
  kAllLayersInNodes,  ///< Resident communication: the same, but one renaming for all layers.
};

/// The placement `to`, its GPUs renamed so that the fewest slots move from `from`, which is best among the renamings of
/// the scope, and every expert that stays on its GPU in its slot. Needs placements of the same layers and equal slots.
/// Pure; GPUs cubed a layer.
[[nodiscard]] Placement relabel_to(const Placement& from, const Placement& to, RenameScope scope);

}  // namespace evenkeel
