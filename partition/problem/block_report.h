#pragma once

#include <cstddef>
#include <optional>

namespace evenkeel {

/// What a sweep of exact solves did, and what it proves.
struct BlockReport {
  /// Solves made, those that ended with a proof, and those that found better.
  std::size_t solves = 0;
  std::size_t closed = 0;
  std::size_t improved = 0;
  /// By how much communication fell.
  double gain = 0;
  /// No single block can lower communication by more than this; absent where a block was not looked at since a
  /// neighbour changed.
  std::optional<double> gain_bound;
};

}  // namespace evenkeel
