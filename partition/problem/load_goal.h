#pragma once

#include <cstdint>
#include <vector>

namespace evenkeel {

/// What searches of communication do about load.
struct LoadGoal {
  /// Load of a GPU in each layer [layers], in load units: the cap that it must not go beyond, or with a weight on peaks
  /// the lower bound, below which load is free.
  std::vector<std::int64_t> threshold_units;
  /// What a layer's max / mean load costs: 1 in the weighted objective; 0 where the threshold is a hard cap.
  double peak_weight = 0;
  /// Where windows are fitted at once, instead of the threshold: the cap on the robust peak of each layer [layers], as
  /// a ratio.
  std::vector<double> window_peak_max = {};

  [[nodiscard]] bool is_cap() const { return peak_weight == 0; }
};

}  // namespace evenkeel
