#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/problem/load_goal.h"

namespace evenkeel {

/// A price on excess load that no gain pays for.
inline constexpr double kHardCap = std::numeric_limits<double>::infinity();

/// Prices on excess load that lead an arrangement to within its caps: from one at which communication rules (a swap
/// shifts about a tenth of a mean load and gains about 1e-3) to one at which load does.
[[nodiscard]] inline std::vector<double> rising_prices() {
  std::vector<double> prices;
  for (double price = 0.01; price < 50.0; price *= 2.0) prices.push_back(price);
  prices.push_back(kHardCap);
  return prices;
}

/// Swap descent in one layer under a goal. Layer has items(), gpu_of(item), load_units(item), gpu_load() [gpus],
/// swap_gain(i, j) in shares of a round pair or round, swap_duplicates(i, j) and swap(i, j).
template <class Layer>
class LayerDescent {
 public:
  LayerDescent(Layer& layer, std::int64_t threshold_units, double peak_weight, double excess_price)
      : layer_(layer), threshold_(threshold_units), peak_weight_(peak_weight), price_(excess_price) {
    const auto load = layer.gpu_load();
    const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
    mean_ = std::max(1.0, static_cast<double>(total) / static_cast<double>(load.size()));
    find_busiest();
  }

  /// Gives each item its best partner once. Returns whether anything moved.
  bool pass(BudgetSlice& slice) {
    bool moved = false;
    for (std::size_t i = 0; i < layer_.items() && !slice.exhausted(); ++i) {
      slice.spend(layer_.items());
      if (const auto partner = best_partner(i)) {
        layer_.swap(i, *partner);
        find_busiest();
        moved = true;
      }
    }
    return moved;
  }

 private:
  /// Gains below this are rounding of maintained sums.
  static constexpr double kGainMin = 1e-9;

  /// What a swap does, in the order in which descents look at it.
  struct Effect {
    /// Drop of the layer's load beyond its cap, in load units; only counted with a hard cap.
    std::int64_t excess_drop = 0;
    double gain = 0;

    [[nodiscard]] bool is_better_than(const Effect& other) const {
      if (excess_drop != other.excess_drop) return excess_drop > other.excess_drop;
      return gain > other.gain;
    }
  };

  [[nodiscard]] std::optional<std::size_t> best_partner(std::size_t i) const {
    std::optional<std::size_t> best;
    Effect best_effect{0, kGainMin};
    for (std::size_t j = 0; j < layer_.items(); ++j) {
      if (layer_.gpu_of(j) == layer_.gpu_of(i)) continue;
      const Effect effect = effect_of(i, j);
      if (!effect.is_better_than(best_effect) || layer_.swap_duplicates(i, j)) continue;
      best_effect = effect;
      best = j;
    }
    return best;
  }

  [[nodiscard]] Effect effect_of(std::size_t i, std::size_t j) const {
    const auto load = layer_.gpu_load();
    const std::int64_t shift = layer_.load_units(i) - layer_.load_units(j);
    const std::size_t a = layer_.gpu_of(i);
    const std::size_t b = layer_.gpu_of(j);
    const double gain = layer_.swap_gain(i, j);
    if (peak_weight_ > 0) {
      const std::int64_t peak = std::max({load[a] - shift, load[b] + shift, largest_without(a, b)});
      return {0, gain + peak_weight_ * static_cast<double>(load[busiest_[0]] - peak) / mean_};
    }
    const std::int64_t drop = excess(load[a]) + excess(load[b]) - excess(load[a] - shift) - excess(load[b] + shift);
    if (std::isinf(price_)) return {drop, gain};
    return {0, gain + price_ * static_cast<double>(drop) / mean_};
  }

  [[nodiscard]] std::int64_t excess(std::int64_t load) const { return std::max<std::int64_t>(0, load - threshold_); }

  /// The three GPUs with most load: whichever two a swap touches, the largest of the others is among them.
  void find_busiest() {
    if (peak_weight_ == 0) return;
    const auto load = layer_.gpu_load();
    std::vector<std::size_t> gpus(load.size());
    std::iota(gpus.begin(), gpus.end(), std::size_t{0});
    busiest_count_ = std::min(busiest_.size(), gpus.size());
    std::ranges::partial_sort(gpus, gpus.begin() + static_cast<std::ptrdiff_t>(busiest_count_), std::greater<>(),
                              [&](std::size_t gpu) { return load[gpu]; });
    std::copy_n(gpus.begin(), busiest_count_, busiest_.begin());
  }

  [[nodiscard]] std::int64_t largest_without(std::size_t a, std::size_t b) const {
    for (std::size_t rank = 0; rank < busiest_count_; ++rank) {
      if (busiest_[rank] != a && busiest_[rank] != b) return layer_.gpu_load()[busiest_[rank]];
    }
    return 0;
  }

  Layer& layer_;
  std::int64_t threshold_;
  double peak_weight_;
  double price_;
  double mean_;
  std::array<std::size_t, 3> busiest_{};
  std::size_t busiest_count_ = 0;
};

}  // namespace evenkeel
