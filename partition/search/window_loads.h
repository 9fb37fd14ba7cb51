#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "partition/model/instance.h"

namespace evenkeel {

/// Two items of one layer, on different GPUs, that change places.
struct WindowSwap {
  std::size_t i, j;
  /// GPUs of i and j.
  std::size_t a, b;
};

/// Rounding of single-precision sums of window loads: caps are kept with this to spare.
inline constexpr double kWindowRounding = 2e-6;

/// GPU loads of one layer in every window, as ratios to the window's mean, and the layer's peak: the instance's robust
/// measure of the largest load in each window. Sums are kept in single precision: near a cap peak_of() decides.
class WindowLoads {
 public:
  /// Needs an instance with windows, which must outlive it.
  WindowLoads(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item);

  [[nodiscard]] float peak() const { return peak_; }
  /// The peak after a swap. Cost: windows, times GPUs where the swap lowers a busiest GPU.
  [[nodiscard]] float peak_after(const WindowSwap& swap);
  /// What a swap adds to the price of load beyond a threshold, summed over GPUs, mean over windows: an excess x costs
  /// linear x + squared x^2.
  [[nodiscard]] float excess_price(const WindowSwap& swap, float threshold, float linear, float squared) const;
  void apply(const WindowSwap& swap);

 private:
  void find_largest();
  /// The measure of scratch_.
  [[nodiscard]] float measured();

  Robust robust_;
  /// Windows, then empty ones up to a whole number of vectors, as columns of all tables.
  std::size_t windows_;
  /// [items, windows]
  Grid<float> item_load_;
  /// [GPUs, windows]
  Grid<float> gpu_load_;
  /// Largest load in each window [windows].
  std::vector<float> largest_;
  std::vector<float> scratch_;
  float peak_ = 0;
};

/// The robust measure of one layer's peaks, exact but for the rounding of the windows' item loads.
[[nodiscard]] double window_peak(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item);
/// As above, of every layer [layers].
[[nodiscard]] std::vector<double> window_peaks(const Instance& instance, const Assignment& assignment);

}  // namespace evenkeel
