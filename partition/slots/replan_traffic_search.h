#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/foundation/grid.h"
#include "partition/foundation/random.h"
#include "partition/model/instance.h"
#include "partition/problem/load_goal.h"
#include "partition/search/annealing.h"

namespace evenkeel {

/// Whether a GPU held the expert of an item in the running placement [layers] of [items, gpus].
using HeldItems = std::vector<Grid<std::uint8_t>>;

/// Search of communication over all layers of an assignment with a pooled budget of moves. Layer is as LayerDescent
/// wants it. All arguments must outlive it.
template <class Layer>
class TrafficSearch {
 public:
  TrafficSearch(std::vector<Layer>& layers, const HeldItems& held, std::span<const double> slowness,
                const LoadGoal& caps, std::size_t moves_max)
      : layers_(layers),
        held_(held),
        slowness_(slowness),
        caps_(caps.threshold_units),
        moves_max_(static_cast<std::int64_t>(moves_max)) {
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      const auto load = layers[layer].gpu_load();
      double speeds = static_cast<double>(load.size());
      if (!slowness.empty()) {
        speeds = std::accumulate(slowness.begin(), slowness.end(), 0.0,
                                 [](double sum, double time) { return sum + 1.0 / time; });
      }
      const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
      mean_units_.push_back(std::max(1.0, static_cast<double>(total) / speeds));
      for (std::size_t item = 0; item < layers[layer].items(); ++item)
        moves_ += held[layer](item, layers[layer].gpu_of(item)) != 0 ? 0 : 1;
    }
  }

  [[nodiscard]] bool is_within_moves() const { return moves_ <= moves_max_; }

  /// Each item its best partner within the moves, until none helps: towards the caps, and less communication.
  void descend(BudgetSlice& slice) {
    bool changed = true;
    while (changed) {
      changed = false;
      for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
        for (std::size_t item = 0; item < layers_[layer].items(); ++item) {
          if (slice.exhausted()) return;
          slice.spend(layers_[layer].items());
          changed = swap_best(layer, item, kGainMin, moves_max_ - moves_) || changed;
        }
      }
    }
  }

  /// Back to the budget of moves, from what an annealing left: swaps that save moves for the least loss.
  void give_back_moves(BudgetSlice& slice) {
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      for (std::size_t item = 0; item < layers_[layer].items() && moves_ > moves_max_; ++item) {
        if (slice.exhausted()) return;
        slice.spend(layers_[layer].items());
        if (held_[layer](item, layers_[layer].gpu_of(item)) != 0) continue;
        swap_best(layer, item, -std::numeric_limits<double>::infinity(), -1);
      }
    }
  }

  void anneal(BudgetSlice& slice, std::uint64_t seed) {
    constexpr std::uint64_t kBatch = 512;
    const double scale = typical_change(seed);
    if (scale <= 0) return;
    std::vector<Random> random;
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) random.emplace_back(seed, layer);
    move_price_ = scale;
    for (std::size_t layer = 0;; layer = (layer + 1) % layers_.size()) {
      const double progress = slice.progress();
      if (progress >= 1.0) return;
      slice.spend(kBatch);
      prices_ = AnnealingPrices::at(progress, scale, kRange, {{}, 0.0});
      is_hard_ = progress >= kHardFrom;
      for (std::uint64_t batch = 0; batch < kBatch; ++batch) propose(layer, random[layer]);
      move_price_ *= moves_ > moves_max_ ? kPriceStep : 1.0 / kPriceStep;
      move_price_ = std::clamp(move_price_, 1e-4 * scale, 1e4 * scale);
    }
  }

 private:
  /// Colder than the search's: a budget of moves keeps an arrangement near the running one anyway.
  static constexpr AnnealingRange kRange{.hot = 0.3, .cold = 0.03, .soft = 0.3, .stiff = 500.0};
  /// Share of the annealing after which no proposal may go beyond the budget of moves.
  static constexpr double kHardFrom = 0.8;
  /// By how much the price of a move changes after each batch.
  static constexpr double kPriceStep = 1.02;
  /// Gains below this are rounding of maintained sums.
  static constexpr double kGainMin = 1e-9;

  [[nodiscard]] std::int64_t moves_of(std::size_t layer, std::size_t i, std::size_t j) const {
    const std::size_t a = layers_[layer].gpu_of(i);
    const std::size_t b = layers_[layer].gpu_of(j);
    const Grid<std::uint8_t>& held = held_[layer];
    return held(i, a) + held(j, b) - held(i, b) - held(j, a);
  }

  /// By how much a swap lowers the load beyond the layer's cap.
  [[nodiscard]] std::int64_t excess_drop(std::size_t layer, std::size_t i, std::size_t j) const {
    const auto load = layers_[layer].gpu_load();
    const std::int64_t shift = layers_[layer].load_units(i) - layers_[layer].load_units(j);
    const std::size_t a = layers_[layer].gpu_of(i);
    const std::size_t b = layers_[layer].gpu_of(j);
    const auto excess = [&](std::int64_t units, std::size_t gpu) {
      return std::max<std::int64_t>(0, weighed_units(units, slowness_, gpu) - caps_[layer]);
    };
    return excess(load[a], a) + excess(load[b], b) - excess(load[a] - shift, a) - excess(load[b] + shift, b);
  }

  void swap(std::size_t layer, std::size_t i, std::size_t j) {
    moves_ += moves_of(layer, i, j);
    layers_[layer].swap(i, j);
  }

  /// Swaps an item with the partner that lowers excess load most, then the one that gains most, if more than
  /// `gain_min`; moves change by at most `moves_max`.
  bool swap_best(std::size_t layer, std::size_t i, double gain_min, std::int64_t moves_max) {
    Layer& view = layers_[layer];
    std::int64_t best_drop = 0;
    double best_gain = gain_min;
    std::size_t best = i;
    for (std::size_t j = 0; j < view.items(); ++j) {
      if (view.gpu_of(j) == view.gpu_of(i) || moves_of(layer, i, j) > moves_max) continue;
      const std::int64_t drop = excess_drop(layer, i, j);
      const double gain = view.swap_gain(i, j);
      if (drop < best_drop || (drop == best_drop && gain <= best_gain) || view.swap_duplicates(i, j)) continue;
      best_drop = drop;
      best_gain = gain;
      best = j;
    }
    if (best == i) return false;
    swap(layer, i, best);
    return true;
  }

  void propose(std::size_t layer, Random& random) {
    static const MetropolisTable metropolis;
    Layer& view = layers_[layer];
    const auto items = static_cast<std::uint32_t>(view.items());
    const std::size_t i = random.below(items);
    const std::size_t j = random.below(items);
    const std::size_t a = view.gpu_of(i);
    const std::size_t b = view.gpu_of(j);
    if (a == b) return;
    const std::int64_t moves = moves_of(layer, i, j);
    if (is_hard_ && moves > 0 && moves_ + moves > moves_max_) return;
    const auto load = view.gpu_load();
    const std::int64_t shift = view.load_units(i) - view.load_units(j);
    const auto ratio = [&](std::int64_t units) {
      return static_cast<float>(static_cast<double>(units) / mean_units_[layer]);
    };
    const auto price = [&](std::int64_t units, std::size_t gpu) {
      return prices_.of_load(ratio(weighed_units(units, slowness_, gpu)), ratio(caps_[layer]));
    };
    const float cost = price(load[a] - shift, a) + price(load[b] + shift, b) - price(load[a], a) - price(load[b], b) +
                       static_cast<float>(move_price_ * static_cast<double>(moves) - view.swap_gain(i, j));
    if (cost >= prices_.temperature * metropolis.at(random.next()) || view.swap_duplicates(i, j)) return;
    swap(layer, i, j);
  }

  /// Mean change of communication over random swaps.
  [[nodiscard]] double typical_change(std::uint64_t seed) const {
    constexpr int kSamples = 400;
    Random random(seed, ~std::uint64_t{0});
    double sum = 0;
    for (int sample = 0; sample < kSamples; ++sample) {
      const Layer& view = layers_[random.below(static_cast<std::uint32_t>(layers_.size()))];
      const std::size_t i = random.below(static_cast<std::uint32_t>(view.items()));
      const std::size_t j = random.below(static_cast<std::uint32_t>(view.items()));
      if (view.gpu_of(i) != view.gpu_of(j)) sum += std::abs(view.swap_gain(i, j));
    }
    return sum / kSamples;
  }

  std::vector<Layer>& layers_;
  const HeldItems& held_;
  std::span<const double> slowness_;
  const std::vector<std::int64_t>& caps_;
  std::int64_t moves_max_;
  std::vector<double> mean_units_;
  std::int64_t moves_ = 0;
  AnnealingPrices prices_;
  double move_price_ = 0;
  bool is_hard_ = false;
};

}  // namespace evenkeel
