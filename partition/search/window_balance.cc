#include "partition/search/window_balance.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"
#include "partition/search/annealing.h"
#include "partition/search/arrangement_layer.h"
#include "partition/search/relabel.h"
#include "partition/search/window_descent.h"
#include "partition/search/window_loads.h"

namespace evenkeel {
namespace {

/// Annealings in a row without a better result before a layer is left.
constexpr int kWindowFruitlessMax = 3;
/// Proposals an item of the first annealing.
constexpr std::uint64_t kWindowFirstLength = 200;

/// One layer without its traffic.
struct LayerState {
  WindowLoads loads;
  std::vector<GpuIndex> gpu_of_item;
};

bool doubles_copy(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item,
                  const WindowSwap& swap) {
  if (!instance.has_replicas()) return false;
  const auto experts = instance.expert_of_item[layer];
  if (experts[swap.i] == experts[swap.j]) return true;
  for (std::size_t item = 0; item < gpu_of_item.size(); ++item) {
    if (item != swap.i && experts[item] == experts[swap.i] && gpu_of_item[item] == swap.b) return true;
    if (item != swap.j && experts[item] == experts[swap.j] && gpu_of_item[item] == swap.a) return true;
  }
  return false;
}

/// Anneals the peak, with a little of the squares of load beyond the mean: peaks alone are flat over most swaps.
void anneal(const Instance& instance, std::size_t layer, LayerState& state, std::uint64_t proposals, Random& random,
            BudgetSlice& slice) {
  static const MetropolisTable metropolis;
  constexpr std::uint64_t kBatch = 256;
  constexpr double kHot = 2e-2;
  constexpr double kCold = 2e-5;
  constexpr float kSquares = 0.3F;
  const auto items = static_cast<std::uint32_t>(state.gpu_of_item.size());
  for (std::uint64_t done = 0; done < proposals && !slice.exhausted(); done += kBatch) {
    slice.spend(kBatch);
    const double progress = static_cast<double>(done) / static_cast<double>(proposals);
    const auto temperature = static_cast<float>(kHot * std::pow(kCold / kHot, progress));
    for (std::uint64_t batch = 0; batch < kBatch; ++batch) {
      const std::size_t i = random.below(items);
      const std::size_t j = random.below(items);
      const WindowSwap swap{i, j, state.gpu_of_item[i], state.gpu_of_item[j]};
      if (swap.a == swap.b) continue;
      const float cost =
          state.loads.peak_after(swap) - state.loads.peak() + state.loads.excess_price(swap, 1.0F, 0.0F, kSquares);
      if (cost >= temperature * metropolis.at(random.next()) || doubles_copy(instance, layer, state.gpu_of_item, swap))
        continue;
      state.loads.apply(swap);
      std::swap(state.gpu_of_item[i], state.gpu_of_item[j]);
    }
  }
}

void balance_layer(const Instance& instance, std::size_t layer, std::span<GpuIndex> best, BudgetSlice slice,
                   std::uint64_t seed) {
  Random random(seed, layer);
  double best_peak = window_peak(instance, layer, best);
  std::uint64_t proposals = kWindowFirstLength * instance.items();
  for (int fruitless = 0; fruitless < kWindowFruitlessMax && !slice.exhausted(); proposals *= 2) {
    LayerState state{WindowLoads(instance, layer, best), {best.begin(), best.end()}};
    anneal(instance, layer, state, proposals, random, slice);
    const double peak = window_peak(instance, layer, state.gpu_of_item);
    ++fruitless;
    if (peak >= best_peak) continue;
    best_peak = peak;
    std::ranges::copy(state.gpu_of_item, best.begin());
    fruitless = 0;
  }
}

void settle(Arrangement& arrangement, std::span<const double> peak_max, BudgetSlice& slice) {
  std::vector<bool> is_settled(arrangement.instance().layers(), false);
  while (std::ranges::find(is_settled, false) != is_settled.end()) {
    for (std::size_t layer = 0; layer < is_settled.size(); ++layer) {
      if (is_settled[layer]) continue;
      if (slice.exhausted()) return;
      ArrangementLayer view(arrangement, layer);
      WindowLoads loads(arrangement.instance(), layer, arrangement.assignment()[layer]);
      if (!descend_under_windows(view, loads, peak_max[layer] - kWindowRounding, slice)) {
        is_settled[layer] = true;
        continue;
      }
      for (const Neighbour& other : arrangement.instance().neighbours[layer]) is_settled[other.layer] = false;
    }
  }
}

}  // namespace

void balance_windows(const Instance& instance, BudgetSlice& slice, std::uint64_t seed, std::size_t threads,
                     Assignment& assignment) {
  if (slice.exhausted()) return;
  for_each_item(instance.layers(), threads, [&](std::size_t layer) {
    balance_layer(instance, layer, assignment[layer], slice.part(layer, instance.layers(), threads), seed);
  });
}

void descend_windows(Arrangement& arrangement, std::span<const double> peak_max, const Assignment& within_caps,
                     BudgetSlice& slice) {
  settle(arrangement, peak_max, slice);
  bool restored = false;
  for (std::size_t layer = 0; layer < arrangement.instance().layers(); ++layer) {
    if (window_peak(arrangement.instance(), layer, arrangement.assignment()[layer]) <= peak_max[layer]) continue;
    arrangement.assign_layer(layer, within_caps[layer]);
    relabel_layer(arrangement, layer);
    restored = true;
  }
  if (restored) settle(arrangement, peak_max, slice);
}

}  // namespace evenkeel
