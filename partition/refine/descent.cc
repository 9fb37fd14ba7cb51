#include "partition/refine/descent.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "partition/refine/relabel.h"

namespace evenkeel {
namespace {

/// Gains below this are rounding of the maintained affinities.
constexpr double kGainMin = 1e-9;
constexpr double kHard = std::numeric_limits<double>::infinity();

/// What a swap does, in the order in which descents look at it.
struct Effect {
  /// Drop of the layer's load beyond its cap, in load units; only counted with an infinite price.
  std::int64_t excess_drop = 0;
  double gain = 0;

  [[nodiscard]] bool is_better_than(const Effect& other) const {
    if (excess_drop != other.excess_drop) return excess_drop > other.excess_drop;
    return gain > other.gain;
  }
};

/// One layer under its goal.
class LayerDescent {
 public:
  LayerDescent(Arrangement& arrangement, std::size_t layer, const LoadGoal& goal, double excess_price)
      : arrangement_(arrangement),
        layer_(layer),
        threshold_(goal.threshold_units[layer]),
        peak_weight_(goal.peak_weight),
        price_(excess_price) {
    const auto load = arrangement.gpu_load(layer);
    const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
    mean_ = std::max(1.0, static_cast<double>(total) / static_cast<double>(load.size()));
    find_busiest();
  }

  /// Gives each item its best partner once. Returns whether anything moved.
  bool pass(BudgetSlice& slice) {
    bool moved = false;
    const std::size_t items = arrangement_.instance().items();
    for (std::size_t i = 0; i < items && !slice.exhausted(); ++i) {
      slice.spend(items);
      if (const auto partner = best_partner(i)) {
        arrangement_.swap(layer_, i, *partner);
        find_busiest();
        moved = true;
      }
    }
    return moved;
  }

 private:
  [[nodiscard]] std::optional<std::size_t> best_partner(std::size_t i) const {
    std::optional<std::size_t> best;
    Effect best_effect{0, kGainMin};
    for (std::size_t j = 0; j < arrangement_.instance().items(); ++j) {
      if (arrangement_.gpu_of(layer_, j) == arrangement_.gpu_of(layer_, i)) continue;
      const Effect effect = effect_of(i, j);
      if (!effect.is_better_than(best_effect) || arrangement_.swap_duplicates(layer_, i, j)) continue;
      best_effect = effect;
      best = j;
    }
    return best;
  }

  [[nodiscard]] Effect effect_of(std::size_t i, std::size_t j) const {
    const auto load = arrangement_.gpu_load(layer_);
    const std::int64_t shift =
        arrangement_.instance().load_units(layer_, i) - arrangement_.instance().load_units(layer_, j);
    const std::size_t a = arrangement_.gpu_of(layer_, i);
    const std::size_t b = arrangement_.gpu_of(layer_, j);
    const double gain = arrangement_.swap_gain(layer_, i, j);
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
    const auto load = arrangement_.gpu_load(layer_);
    std::vector<std::size_t> gpus(load.size());
    std::iota(gpus.begin(), gpus.end(), std::size_t{0});
    busiest_count_ = std::min(busiest_.size(), gpus.size());
    std::ranges::partial_sort(gpus, gpus.begin() + static_cast<std::ptrdiff_t>(busiest_count_), std::greater<>(),
                              [&](std::size_t gpu) { return load[gpu]; });
    std::copy_n(gpus.begin(), busiest_count_, busiest_.begin());
  }

  [[nodiscard]] std::int64_t largest_without(std::size_t a, std::size_t b) const {
    for (std::size_t rank = 0; rank < busiest_count_; ++rank) {
      if (busiest_[rank] != a && busiest_[rank] != b) return arrangement_.gpu_load(layer_)[busiest_[rank]];
    }
    return 0;
  }

  Arrangement& arrangement_;
  std::size_t layer_;
  std::int64_t threshold_;
  double peak_weight_;
  double price_;
  double mean_;
  std::array<std::size_t, 3> busiest_{};
  std::size_t busiest_count_ = 0;
};

}  // namespace

bool descend(Arrangement& arrangement, const LoadGoal& goal, double excess_price, BudgetSlice& slice) {
  std::vector<bool> is_settled(arrangement.instance().layers(), false);
  while (std::ranges::find(is_settled, false) != is_settled.end()) {
    for (std::size_t layer = 0; layer < is_settled.size(); ++layer) {
      if (is_settled[layer]) continue;
      if (slice.exhausted()) return false;
      if (!LayerDescent(arrangement, layer, goal, excess_price).pass(slice)) {
        is_settled[layer] = true;
        continue;
      }
      for (const Neighbour& other : arrangement.instance().neighbours[layer]) is_settled[other.layer] = false;
    }
  }
  return true;
}

bool restore_caps(Arrangement& arrangement, const LoadGoal& goal, const Assignment& within_caps) {
  bool restored = false;
  for (std::size_t layer = 0; layer < arrangement.instance().layers() && goal.is_cap(); ++layer) {
    if (std::ranges::max(arrangement.gpu_load(layer)) <= goal.threshold_units[layer]) continue;
    arrangement.assign_layer(layer, within_caps[layer]);
    relabel_layer(arrangement, layer);
    restored = true;
  }
  return restored;
}

void descend_to_goal(Arrangement& arrangement, const LoadGoal& goal, const Assignment& within_caps,
                     BudgetSlice& slice) {
  // From a price at which traffic rules (a swap shifts about a tenth of a mean load and gains about 1e-3) to one at
  // which load does.
  for (double price = 0.01; goal.is_cap() && price < 50.0 && !slice.exhausted(); price *= 2.0)
    descend(arrangement, goal, price, slice);
  descend(arrangement, goal, kHard, slice);
  if (restore_caps(arrangement, goal, within_caps)) descend(arrangement, goal, kHard, slice);
}

}  // namespace evenkeel
