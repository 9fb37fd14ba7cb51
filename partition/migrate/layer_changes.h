#pragma once

#include <cstddef>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/model/placement.h"

namespace evenkeel {

/// One slot of a GPU that gets another expert. It takes one spare buffer: `added` is loaded into it while `removed`
/// still serves.
struct SlotChange {
  LayerId layer;
  GpuId gpu;
  ExpertId removed;
  ExpertId added;
  bool operator==(const SlotChange&) const = default;
};

/// Slot changes that depend on one another. No GPU occurs twice where they go together.
struct ChangeGroup {
  std::vector<SlotChange> changes;
  /// A cycle: every expert that a change removes is added by the next, so all take effect at once. Otherwise a path:
  /// each may take effect with the one before it or any time after.
  bool is_cycle;
};

/// Groups that touch every GPU at most once, all of one layer.
using ChangeClass = std::vector<ChangeGroup>;

/// The slot changes of one layer, grouped such that groups may take effect in any order. As many classes as the
/// busiest GPU has changes, so one spare buffer a GPU is enough for one class at a time.
///
/// An expert that keeps a copy where it had one sets no conditions. Of any other, all copies but one (on the lowest
/// GPU) may go at any time, and that one may go once a first new copy (on the lowest GPU) is there. These conditions
/// are edges from GPU to GPU, at most one for each removal and addition; what is left without a condition is paired up,
/// on the same GPU where that can be. Every GPU has as many edges out as in, so with loops at the less busy ones a
/// colouring of the edges takes the graph apart into permutations of the GPUs: into cycles that visit no GPU twice.
///
/// Pure. Both placements have the same layers, experts and slots of each GPU. Cost: changes x GPUs at worst.
[[nodiscard]] std::vector<ChangeClass> changes_of_layer(const Placement& from, const Placement& to, LayerId layer);

}  // namespace evenkeel
