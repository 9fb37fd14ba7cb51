#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/exact/glpk_program.h"
#include "partition/model/arrangement.h"

namespace evenkeel {

/// Two GPUs over a few layers in a row, all else fixed.
struct PairBlock {
  std::size_t gpu_a;
  std::size_t gpu_b;
  std::size_t first_layer;
  std::size_t layers;
};

/// An item of a layer that changes GPU.
struct ItemMove {
  std::size_t layer;
  std::size_t item;
  std::size_t to;
};

struct PairSolution {
  /// Moves that raise the traffic kept; none where the block was already optimal or nothing was found in time.
  std::vector<ItemMove> moves;
  /// By how much the moves lower communication.
  double gain = 0;
  /// No other split of the block's items lowers communication by more than this.
  double gain_bound = 0;
  bool is_closed = false;
};

/// Splits the items of the block's two GPUs anew, in all its layers at once, with GLPK: x = 1 where an item is on GPU
/// a, z = x x' between neighbouring layers, linearised by the capacity rows sum over e' of z[e, e'] = S x[e] and their
/// mirror, under which z is exact and the relaxation strong. Loads stay within the caps [layers of the instance]. Takes
/// 0.15 to 0.8 s at 8 slots and 2 to 3 layers. Needs traffic in a chain. Thread-safe.
[[nodiscard]] PairSolution solve_pair(const Arrangement& arrangement, std::span<const std::int64_t> cap_units,
                                      const PairBlock& block, const ExactLimit& limit);

}  // namespace evenkeel
