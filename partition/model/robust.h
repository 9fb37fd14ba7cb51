#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <span>

namespace evenkeel {

/// How the peaks of a layer in several windows of traffic, each max / mean GPU load, make one figure: their mean over
/// the worst share of the windows, windows weighing the same (the conditional value at risk).
struct Robust {
  /// Share of the windows that does not count, the best ones. 0 is the mean over all, 1 the worst window alone.
  double quantile = 0;

  /// Puts the peaks (at least one) in descending order unless all of them count. Pure otherwise.
  template <class T>
  [[nodiscard]] T of(std::span<T> peaks) const {
    const auto windows = static_cast<T>(peaks.size());
    // At least the worst window counts, a part of the last of the worst where their share is not a whole number.
    const T counted = std::max(T{1}, static_cast<T>(1.0 - quantile) * windows);
    if (counted < windows) std::ranges::sort(peaks, std::greater<>());
    T sum{0};
    T left = counted;
    for (std::size_t i = 0; i < peaks.size() && left > T{0}; ++i, left -= T{1}) sum += peaks[i] * std::min(T{1}, left);
    return sum / counted;
  }
  bool operator==(const Robust&) const = default;
};

}  // namespace evenkeel
