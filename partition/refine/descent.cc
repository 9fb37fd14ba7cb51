#include "partition/refine/descent.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

namespace evenkeel {
namespace {

/// Gains below this are rounding of the maintained affinities.
constexpr double kGainMin = 1e-9;

/// What a swap does, in the order in which descents look at it.
struct Effect {
  /// Drop of the layer's load beyond its cap, in mean GPU loads; only counted with an infinite price.
  double excess_drop = 0;
  double gain = 0;

  [[nodiscard]] bool is_better_than(const Effect& other) const {
    if (excess_drop != other.excess_drop) return excess_drop > other.excess_drop;
    return gain > other.gain;
  }
};

/// One layer under its cap.
class LayerDescent {
 public:
  LayerDescent(Arrangement& arrangement, std::size_t layer, std::int64_t cap_units, double excess_price)
      : arrangement_(arrangement), layer_(layer), cap_(cap_units), price_(excess_price) {
    const auto load = arrangement.gpu_load(layer);
    const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
    mean_ = std::max(1.0, static_cast<double>(total) / static_cast<double>(load.size()));
  }

  /// Gives each item its best partner once. Returns whether anything moved.
  bool pass(Budget& budget) {
    bool moved = false;
    const std::size_t items = arrangement_.instance().items();
    for (std::size_t i = 0; i < items && !budget.exhausted(); ++i) {
      budget.spend(items);
      if (const auto partner = best_partner(i)) {
        arrangement_.swap(layer_, i, *partner);
        moved = true;
      }
    }
    return moved;
  }

 private:
  [[nodiscard]] std::optional<std::size_t> best_partner(std::size_t i) const {
    std::optional<std::size_t> best;
    Effect best_effect{0.0, kGainMin};
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
    const std::int64_t a = load[arrangement_.gpu_of(layer_, i)];
    const std::int64_t b = load[arrangement_.gpu_of(layer_, j)];
    const std::int64_t drop = excess(a) + excess(b) - excess(a - shift) - excess(b + shift);
    const double gain = arrangement_.swap_gain(layer_, i, j);
    if (std::isinf(price_)) return {static_cast<double>(drop) / mean_, gain};
    return {0.0, gain + price_ * static_cast<double>(drop) / mean_};
  }

  [[nodiscard]] std::int64_t excess(std::int64_t load) const { return std::max<std::int64_t>(0, load - cap_); }

  Arrangement& arrangement_;
  std::size_t layer_;
  std::int64_t cap_;
  double price_;
  double mean_;
};

/// Renames the GPUs of a layer of `source` to keep most traffic with the layers around it: most affine pair of group
/// and GPU first.
std::vector<GpuIndex> renamed_layer(const Arrangement& arrangement, const Assignment& source, std::size_t layer) {
  const Instance& instance = arrangement.instance();
  Grid<double> kept(instance.gpus, instance.gpus);
  for (std::size_t item = 0; item < instance.items(); ++item) {
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu)
      kept(source(layer, item), gpu) += arrangement.affinity(layer, item, gpu);
  }
  std::vector<std::size_t> pairs(instance.gpus * instance.gpus);
  std::iota(pairs.begin(), pairs.end(), std::size_t{0});
  std::ranges::stable_sort(pairs, std::greater<>(), [&](std::size_t pair) { return kept.cells()[pair]; });
  std::vector<std::optional<GpuIndex>> name(instance.gpus);
  std::vector<bool> is_taken(instance.gpus, false);
  for (const std::size_t pair : pairs) {
    const std::size_t group = pair / instance.gpus;
    const std::size_t gpu = pair % instance.gpus;
    if (name[group] || is_taken[gpu]) continue;
    name[group] = static_cast<GpuIndex>(gpu);
    is_taken[gpu] = true;
  }
  std::vector<GpuIndex> renamed(instance.items());
  for (std::size_t item = 0; item < instance.items(); ++item) renamed[item] = *name[source(layer, item)];
  return renamed;
}

}  // namespace

bool descend(Arrangement& arrangement, std::span<const std::int64_t> cap_units, double excess_price, Budget& budget) {
  std::vector<bool> is_settled(arrangement.instance().layers(), false);
  while (std::ranges::find(is_settled, false) != is_settled.end()) {
    for (std::size_t layer = 0; layer < is_settled.size(); ++layer) {
      if (is_settled[layer]) continue;
      if (budget.exhausted()) return false;
      if (!LayerDescent(arrangement, layer, cap_units[layer], excess_price).pass(budget)) {
        is_settled[layer] = true;
        continue;
      }
      for (const Neighbour& other : arrangement.instance().neighbours[layer]) is_settled[other.layer] = false;
    }
  }
  return true;
}

void descend_to_caps(Arrangement& arrangement, std::span<const std::int64_t> cap_units, const Assignment& within_caps,
                     Budget& budget) {
  // From a price at which traffic rules (a swap shifts about a tenth of a mean load and gains about 1e-3) to one at
  // which load does.
  for (double price = 0.01; price < 50.0 && !budget.exhausted(); price *= 2.0)
    descend(arrangement, cap_units, price, budget);
  constexpr double kHard = std::numeric_limits<double>::infinity();
  descend(arrangement, cap_units, kHard, budget);
  bool fell_back = false;
  for (std::size_t layer = 0; layer < arrangement.instance().layers(); ++layer) {
    if (std::ranges::max(arrangement.gpu_load(layer)) <= cap_units[layer]) continue;
    arrangement.assign_layer(layer, renamed_layer(arrangement, within_caps, layer));
    fell_back = true;
  }
  if (fell_back) descend(arrangement, cap_units, kHard, budget);
}

}  // namespace evenkeel
