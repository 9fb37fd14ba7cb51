#include "partition/search/shake.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "partition/foundation/random.h"
#include "partition/model/arrangement.h"
#include "partition/search/descent.h"
#include "partition/search/layer_descent.h"

namespace evenkeel {
namespace {

/// More scatter what is good along with what is not.
constexpr std::uint32_t kSwapsMax = 4;

/// The goal's objective; none beyond its caps.
std::optional<double> cost(const Arrangement& arrangement, const LoadGoal& goal) {
  double peaks = 0;
  for (std::size_t layer = 0; layer < arrangement.instance().layers(); ++layer) {
    const auto load = arrangement.gpu_load(layer);
    const std::int64_t largest = std::ranges::max(load);
    if (goal.is_cap() && largest > goal.threshold_units[layer]) return std::nullopt;
    const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
    if (total > 0)
      peaks += static_cast<double>(largest) * static_cast<double>(load.size()) / static_cast<double>(total);
  }
  return arrangement.communication() + goal.peak_weight * peaks;
}

/// Swaps in one layer or, by a coin each time, in another.
void swap_at_random(Arrangement& arrangement, Random& random) {
  const auto layers = static_cast<std::uint32_t>(arrangement.instance().layers());
  const auto items = static_cast<std::uint32_t>(arrangement.instance().items());
  std::size_t layer = random.below(layers);
  for (std::uint32_t swaps = 1 + random.below(kSwapsMax); swaps > 0; --swaps) {
    if (random.below(2) == 0) layer = random.below(layers);
    const std::size_t i = random.below(items);
    const std::size_t j = random.below(items);
    if (arrangement.gpu_of(layer, i) != arrangement.gpu_of(layer, j) && !arrangement.swap_duplicates(layer, i, j))
      arrangement.swap(layer, i, j);
  }
}

}  // namespace

Assignment shake(const Instance& instance, const Assignment& start, const LoadGoal& goal, BudgetSlice& slice,
                 std::uint64_t seed) {
  Random random(seed, 0);
  Assignment best = start;
  Arrangement arrangement(instance, start);
  std::optional<double> least = cost(arrangement, goal);
  while (!slice.exhausted()) {
    swap_at_random(arrangement, random);
    descend(arrangement, goal, kHardCap, slice);
    const auto reached = cost(arrangement, goal);
    if (reached && (!least || *reached <= *least)) {
      least = reached;
      best = arrangement.assignment();
    } else {
      for (std::size_t layer = 0; layer < instance.layers(); ++layer) arrangement.assign_layer(layer, best[layer]);
    }
  }
  return best;
}

}  // namespace evenkeel
