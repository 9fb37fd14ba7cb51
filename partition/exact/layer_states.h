#pragma once

#include <cstddef>
#include <cstdint>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"

namespace evenkeel {

/// All ways to put one layer's items on GPUs with equal slots, up to renaming nodes and the GPUs of a node: no cost
/// depends on those names. A bin is what one GPU holds. A block is what one node's GPUs hold; with one node, whose GPUs
/// change names freely, a block is a bin. A state is a choice of blocks that holds every item once.
struct LayerStates {
  /// Items of each bin, ascending [bins, slots of a GPU].
  Grid<ExpertIndex> bins;
  /// Bins of each block [blocks, GPUs of a block].
  Grid<std::uint32_t> blocks;
  /// Blocks of each state [states, blocks of a state].
  Grid<std::uint32_t> states;
};

/// How many there are, and of how many parts each is made. Infinite beyond the range of double.
struct LayerStateCounts {
  double bins = 0;
  double blocks = 0;
  double states = 0;
  std::size_t gpus_per_block = 1;
  std::size_t blocks_per_state = 1;
};

/// Pure. Needs items that divide over the GPUs, and GPUs that divide over the nodes.
[[nodiscard]] LayerStateCounts count_layer_states(std::size_t items, std::size_t gpus, std::size_t nodes);

/// Enumerates them in lexicographic order. Pure; time and memory grow with the counts, so ask for those first.
[[nodiscard]] LayerStates enumerate_layer_states(std::size_t items, std::size_t gpus, std::size_t nodes);

}  // namespace evenkeel
