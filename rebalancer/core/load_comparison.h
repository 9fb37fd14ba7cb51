#pragma once

#include <cstddef>
#include <cstdint>

#include "partition/model/grid.h"
#include "partition/model/placement.h"
#include "partition/model/result.h"

namespace evenkeel::rebalancer {

/// What a migration would bring, on the counts it was planned from.
struct LoadComparison {
  /// max / mean GPU load, mean over loaded layers.
  double imbalance_before = 1;
  double imbalance_after = 1;
  /// Slots whose GPU does not hold their expert yet, over all layers.
  std::size_t slots_moved = 0;

  /// Relative drop of the imbalance; negative where the plan is worse.
  [[nodiscard]] double gain_ratio() const { return (imbalance_before - imbalance_after) / imbalance_before; }
};

/// Pure. Fails with kInvalidInput where the placements are not of the same model and cluster. Cost: a pass over both
/// maps and the counts [layers, experts].
[[nodiscard]] Result<LoadComparison> compare_loads(const Grid<std::uint64_t>& load_tokens, const Placement& running,
                                                   const Placement& planned);

}  // namespace evenkeel::rebalancer
