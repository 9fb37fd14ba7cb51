#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "partition/foundation/grid.h"

namespace evenkeel {

/// How unevenly the experts of one layer are used.
struct LoadSkew {
  /// Largest load over the mean; 1 is even.
  double hottest_ratio = 0;
  /// Standard deviation (of the population) over the mean.
  double variation = 0;
  /// Share of the load on the hottest tenth of the experts, rounded up.
  double top_tenth_share = 0;
  /// Gini coefficient: 0 even, towards 1 all on one expert.
  double gini = 0;
  /// Entropy of the load shares over ln(experts): 1 even, 0 all on one expert.
  double entropy = 0;
  /// Experts without any load.
  double cold_experts = 0;

  /// Without load the figures above but the last are 0.
  [[nodiscard]] bool is_loaded() const { return hottest_ratio > 0; }
};

/// Figures of every layer [layers]. Pure.
[[nodiscard]] std::vector<LoadSkew> skew_of(const Grid<std::uint64_t>& load_tokens);

/// Mean of each figure over the layers with load.
[[nodiscard]] LoadSkew mean_skew(const std::vector<LoadSkew>& layers);

/// Number of the layer with the largest `hottest_ratio`.
[[nodiscard]] std::size_t most_skewed_layer(const std::vector<LoadSkew>& layers);

}  // namespace evenkeel
