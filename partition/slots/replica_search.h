#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partition/foundation/budget.h"
#include "partition/slots/replan_slots.h"

namespace evenkeel {

/// How slots are filled anew, numbers of copies included.
struct ReplicaSearch {
  /// Copies that every expert keeps at least.
  std::size_t copies_min = 1;
  /// With several, experts of two copies stay on two nodes; the running slots have them so.
  std::size_t nodes = 1;
  std::uint64_t seed = 1;
  std::size_t threads = 1;
};

/// Lowers each layer's largest GPU load with an even split, from the running slots towards `bound_units` [layers]:
/// annealings of exchanges between GPUs, and of slots that give up a copy of one expert for a copy of another, until
/// the bound is met, they no longer help or the slice ends. No expert is put twice on a GPU. Returns the expert in each
/// slot [layers, slots]; a layer that is not improved keeps its slots. The same for 1 and 2 threads. Work: a unit a
/// proposal.
[[nodiscard]] Grid<ExpertIndex> balance_replicas(std::span<const ReplanLayer> layers,
                                                 std::span<const std::int64_t> bound_units, const ReplicaSearch& search,
                                                 BudgetSlice& slice);

/// The same for the best uneven split, `load_tokens` [layers, experts] being the loads of the layers, until each
/// layer's load is even. Work: 16 units a slot of each split tried.
[[nodiscard]] Grid<ExpertIndex> balance_uneven(std::span<const ReplanLayer> layers,
                                               const Grid<std::uint64_t>& load_tokens, const ReplicaSearch& search,
                                               BudgetSlice& slice);

}  // namespace evenkeel
