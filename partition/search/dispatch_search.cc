#include "partition/search/dispatch_search.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"
#include "partition/search/annealing.h"
#include "partition/search/dispatch_layer.h"
#include "partition/search/layer_descent.h"
#include "partition/search/window_descent.h"
#include "partition/search/window_loads.h"

namespace evenkeel {
namespace {

/// Measured at 24 x 32, 26 x 64 and 48 x 128. Caps are felt from the start: a layer has few arrangements within them.
constexpr AnnealingRange kDispatchRange{.hot = 0.45, .cold = 0.05, .soft = 0.3, .stiff = 500.0};
constexpr double kRunUnits = 3e6;
/// Share of a layer's time for the descent after the annealing.
constexpr double kAnnealingShare = 0.97;

/// What one layer's load is held to.
struct LayerCap {
  const Instance& instance;
  std::size_t layer;
  const LoadGoal& goal;

  [[nodiscard]] std::int64_t units() const { return goal.threshold_units[layer]; }
  [[nodiscard]] double window_peak_max() const { return goal.window_peak_max[layer]; }

  [[nodiscard]] bool holds(const DispatchLayer& candidate) const {
    if (instance.has_windows()) return window_peak(instance, layer, candidate.gpu_of_item()) <= window_peak_max();
    return std::ranges::max(candidate.gpu_load()) <= units();
  }
};

void descend(DispatchLayer& layer, const LayerCap& cap, double excess_price, BudgetSlice& slice) {
  if (cap.instance.has_windows()) {
    WindowLoads loads(cap.instance, cap.layer, layer.gpu_of_item());
    while (!slice.exhausted() && descend_under_windows(layer, loads, cap.window_peak_max() - kWindowRounding, slice)) {
    }
    return;
  }
  LayerDescent descent(layer, cap.units(), 0.0, excess_price);
  while (!slice.exhausted() && descent.pass(slice)) {
  }
}

/// Mean change of communication over random swaps.
double typical_change(const DispatchLayer& layer, std::uint64_t seed) {
  constexpr int kSamples = 200;
  Random random(seed, ~std::uint64_t{0});
  const auto items = static_cast<std::uint32_t>(layer.items());
  double sum = 0;
  for (int sample = 0; sample < kSamples; ++sample) {
    const std::size_t i = random.below(items);
    const std::size_t j = random.below(items);
    if (layer.gpu_of(i) != layer.gpu_of(j)) sum += std::abs(layer.swap_gain(i, j));
  }
  return sum / kSamples;
}

/// Prices of load beyond the cap, all windows added up.
class SumPrices {
 public:
  SumPrices(const DispatchLayer& layer, const LayerCap& cap) : layer_(layer) {
    const auto total = std::accumulate(layer.gpu_load().begin(), layer.gpu_load().end(), std::int64_t{0});
    mean_ = std::max(1.0, static_cast<double>(total) / static_cast<double>(layer.gpu_load().size()));
    threshold_ = ratio(cap.units());
  }

  /// What a swap adds to it.
  [[nodiscard]] float price(const WindowSwap& swap, const AnnealingPrices& prices) const {
    const std::int64_t shift = layer_.load_units(swap.i) - layer_.load_units(swap.j);
    const auto price = [&](std::int64_t load) { return prices.of_load(ratio(load), threshold_); };
    const auto load = layer_.gpu_load();
    return price(load[swap.a] - shift) + price(load[swap.b] + shift) - price(load[swap.a]) - price(load[swap.b]);
  }
  void apply(const WindowSwap&) {}

 private:
  [[nodiscard]] float ratio(std::int64_t units) const { return static_cast<float>(static_cast<double>(units) / mean_); }

  const DispatchLayer& layer_;
  double mean_;
  float threshold_;
};

/// Prices of load beyond the cap in every window: the peak's alone are flat over most swaps.
class WindowPrices {
 public:
  WindowPrices(const DispatchLayer& layer, const LayerCap& cap)
      : loads_(cap.instance, cap.layer, layer.gpu_of_item()), threshold_(static_cast<float>(cap.window_peak_max())) {}

  [[nodiscard]] float price(const WindowSwap& swap, const AnnealingPrices& prices) const {
    return loads_.excess_price(swap, threshold_, prices.excess, prices.excess_squared);
  }
  void apply(const WindowSwap& swap) { loads_.apply(swap); }

 private:
  WindowLoads loads_;
  float threshold_;
};

template <class Prices>
void anneal(DispatchLayer& layer, Prices of_load, const LoadGoal& goal, Random& random, BudgetSlice& slice,
            double scale) {
  static const MetropolisTable metropolis;
  constexpr std::uint64_t kBatch = 512;
  const auto items = static_cast<std::uint32_t>(layer.items());
  const std::uint64_t units_per_swap = layer.sets_per_item() * 2;
  while (!slice.exhausted()) {
    const auto prices = AnnealingPrices::at(slice.progress() / kAnnealingShare, scale, kDispatchRange, goal);
    if (slice.progress() >= kAnnealingShare) return;
    std::uint64_t units = kBatch;
    for (std::uint64_t batch = 0; batch < kBatch; ++batch) {
      const std::size_t i = random.below(items);
      const std::size_t j = random.below(items);
      const WindowSwap swap{i, j, layer.gpu_of(i), layer.gpu_of(j)};
      if (swap.a == swap.b) continue;
      const float cost = of_load.price(swap, prices) - static_cast<float>(layer.swap_gain(i, j));
      if (cost >= prices.temperature * metropolis.at(random.next()) || layer.swap_duplicates(i, j)) continue;
      layer.swap(i, j);
      of_load.apply(swap);
      units += units_per_swap;
    }
    slice.spend(units);
  }
}

}  // namespace

Assignment descend_dispatch(const Instance& instance, const Assignment& start, const Assignment& within_caps,
                            const LoadGoal& goal, BudgetSlice& slice, std::size_t threads) {
  Assignment result = within_caps;
  for_each_item(instance.layers(), threads, [&](std::size_t layer) {
    BudgetSlice part = slice.part(layer, instance.layers(), threads);
    // Not even time for the tables.
    if (part.exhausted()) return;
    const LayerCap cap{instance, layer, goal};
    DispatchLayer candidate(instance, layer, start[layer]);
    const bool starts_within = cap.holds(candidate);
    for (const double price : rising_prices()) {
      if (price == kHardCap || !starts_within) descend(candidate, cap, price, part);
    }
    if (cap.holds(candidate)) std::ranges::copy(candidate.gpu_of_item(), result[layer].begin());
  });
  return result;
}

Assignment better_layers(const Instance& instance, const Assignment& a, const Assignment& b) {
  Assignment result = a;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    if (layer_dispatch(instance, layer, b[layer]) < layer_dispatch(instance, layer, a[layer]))
      std::ranges::copy(b[layer], result[layer].begin());
  }
  return result;
}

Assignment anneal_dispatch(const Instance& instance, const Assignment& start, const LoadGoal& goal, BudgetSlice& slice,
                           std::uint64_t seed, std::size_t threads) {
  Assignment best = start;
  for_each_item(instance.layers(), threads, [&](std::size_t layer) {
    BudgetSlice part = slice.part(layer, instance.layers(), threads);
    const LayerCap cap{instance, layer, goal};
    double least = layer_dispatch(instance, layer, start[layer]);
    Random random(seed, layer);
    const std::size_t runs = short_runs(part, instance.items(), kRunUnits);
    for (std::size_t run = 0; run < runs && !part.exhausted(); ++run) {
      BudgetSlice slice_of_run = part.part(run, runs, 1);
      DispatchLayer candidate(instance, layer, start[layer]);
      const double scale = typical_change(candidate, seed);
      instance.has_windows() ? anneal(candidate, WindowPrices(candidate, cap), goal, random, slice_of_run, scale)
                             : anneal(candidate, SumPrices(candidate, cap), goal, random, slice_of_run, scale);
      descend(candidate, cap, kHardCap, slice_of_run);
      if (!cap.holds(candidate) || candidate.cost() >= least) continue;
      least = candidate.cost();
      std::ranges::copy(candidate.gpu_of_item(), best[layer].begin());
    }
  });
  return best;
}

}  // namespace evenkeel
