#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "partition/foundation/budget.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// From where to where an annealing goes, in steps of equal ratio.
struct AnnealingRange {
  /// Temperatures in units of the typical change of a random swap. Hotter forgets the start without gain, colder wastes
  /// proposals that nothing comes of.
  double hot;
  double cold;
  /// Price of a mean GPU load beyond the cap. In the end an excess of a hundredth must outweigh any swap's gain.
  double soft;
  double stiff;
};

/// What a proposal is weighed with at one moment of an annealing. Load counts as a hinge above the threshold, at first
/// soft and in the end stiff: under a hard largest load next to no swap would pass, and communication would freeze in
/// the loads of the start.
struct AnnealingPrices {
  float temperature = 0;
  /// Of a mean GPU load beyond the threshold, and of its square.
  float excess = 0;
  float excess_squared = 0;
  /// Of the layer's max / mean load.
  float peak = 0;

  /// Prices when a share `progress` of the budget is gone, for a random swap that changes communication by `scale`.
  [[nodiscard]] static AnnealingPrices at(double progress, double scale, const AnnealingRange& range,
                                          const LoadGoal& goal) {
    AnnealingPrices prices;
    prices.temperature = static_cast<float>(scale * range.hot * std::pow(range.cold / range.hot, progress));
    if (goal.is_cap()) {
      prices.excess = static_cast<float>(range.soft * std::pow(range.stiff / range.soft, progress));
      prices.excess_squared = 0.3F;
    } else {
      const double stiffness = std::clamp((progress - 0.3) / 0.5, 0.0, 1.0);
      prices.peak = static_cast<float>(goal.peak_weight * stiffness);
      prices.excess_squared = static_cast<float>(2.0 * goal.peak_weight * (1.15 - stiffness));
    }
    return prices;
  }

  /// Price of a GPU's load, as a ratio to the mean.
  [[nodiscard]] float of_load(float load, float threshold) const {
    const float over = std::max(0.0F, load - threshold);
    return over * (excess + excess_squared * over);
  }
};

/// How many short annealings of one layer fit a slice. They end in arrangements that differ by more than a longer run
/// gains, so many short ones are better: each of a fifth of a second, or so many work units, for 64 items.
[[nodiscard]] inline std::size_t short_runs(const BudgetSlice& slice, std::size_t items, double units_of_64) {
  constexpr double kSecondsOf64 = 0.2;
  constexpr std::size_t kRunsMax = 32;
  const double length = (slice.is_wall() ? kSecondsOf64 : units_of_64) * static_cast<double>(items) / 64.0;
  return std::clamp(static_cast<std::size_t>(slice.remaining() / length), std::size_t{1}, kRunsMax);
}

/// -ln u for uniform u, looked up: a rise in cost passes where it is below temperature x this.
class MetropolisTable {
 public:
  MetropolisTable() {
    for (std::size_t i = 0; i < kSize; ++i)
      values_[i] = static_cast<float>(-std::log((static_cast<double>(i) + 0.5) / kSize));
  }
  [[nodiscard]] float at(std::uint64_t random) const { return values_[random % kSize]; }

 private:
  static constexpr std::size_t kSize = 4096;
  std::array<float, kSize> values_{};
};

}  // namespace evenkeel
