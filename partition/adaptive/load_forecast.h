#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "partition/foundation/grid.h"

namespace evenkeel {

/// What the loads of the next window will be like, as decayed sums of the windows so far.
///
/// How long traffic should be remembered differs from service to service: short windows are noisy and want a long
/// memory, traffic that drifts wants a short one. So several memories are kept, each is scored on every window before
/// it takes it in, and the one that has foretold the last windows best speaks. After a sudden change all of them begin
/// anew.
///
/// Counts differ by chance even where all experts are equally likely, and a placement that evens out chance gains
/// nothing in the next window. So what is foretold is drawn towards the layer's mean by the share of the variance that
/// counting alone explains (the estimator of James and Stein, with all layers together): all of it for flat traffic,
/// next to nothing for skewed traffic. Pure; equal windows give equal forecasts. Cost: five passes over the counts a
/// window.
class LoadForecast {
 public:
  /// Windows after which a memory has forgotten half; the first keeps the last window alone.
  static constexpr std::array<double, 5> kHalfLives{0, 1, 2, 4, 8};

  /// Takes in the counts of a window [layers, experts]. Layers without counts say nothing of theirs.
  void take(const Grid<std::uint64_t>& load_tokens);

  [[nodiscard]] bool empty() const { return windows_ == 0; }
  /// Expected loads [layers, experts] in the proportions of the layers' traffic; the busiest layer has `layer_tokens`.
  [[nodiscard]] Grid<std::uint64_t> load_tokens(double layer_tokens) const;

  /// Share of the last window's tokens that went to other experts than foretold (total variation, mean over layers); 0
  /// for the first. Short windows have some by chance alone.
  [[nodiscard]] double drift() const { return drift_; }
  /// The last window was so unlike the forecast that what came before it was dropped.
  [[nodiscard]] bool is_sudden() const { return is_sudden_; }
  /// Of the memory that speaks.
  [[nodiscard]] double half_life_windows() const { return kHalfLives[best_]; }

 private:
  /// Decayed counts, and the variance that counting alone gives those of an expert, by layer.
  struct Memory {
    Grid<double> tokens;
    std::vector<double> variance;
  };

  static void remember(Memory& memory, const Grid<std::uint64_t>& seen, double kept);
  [[nodiscard]] static double chance_share(const Memory& memory);
  void score(const Grid<std::uint64_t>& load_tokens);

  std::array<Memory, kHalfLives.size()> memories_;
  /// Decayed sum of each memory's misses, and of the weights.
  std::array<double, kHalfLives.size()> missed_{};
  std::size_t best_ = kHalfLives.size() - 1;
  std::size_t windows_ = 0;
  /// Decayed mean of the drift of windows that were not sudden, and how many there were.
  double usual_drift_ = 0;
  std::size_t usual_windows_ = 0;
  double drift_ = 0;
  bool is_sudden_ = false;
};

}  // namespace evenkeel
