#include "partition/refine/balance.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace evenkeel {
namespace {

/// Items of two GPUs that change places.
struct Swap {
  std::size_t i;
  std::size_t j;
};

std::vector<std::vector<std::size_t>> items_by_gpu(const Arrangement& arrangement, std::size_t layer) {
  std::vector<std::vector<std::size_t>> items(arrangement.instance().gpus);
  for (std::size_t item = 0; item < arrangement.instance().items(); ++item)
    items[arrangement.gpu_of(layer, item)].push_back(item);
  return items;
}

/// The swap that leaves the busiest GPU and its partner with the lowest larger load, below what the busiest has now.
std::optional<Swap> best_swap(const Arrangement& arrangement, std::size_t layer, std::size_t busiest,
                              const std::vector<std::vector<std::size_t>>& items) {
  const Instance& instance = arrangement.instance();
  const auto load = arrangement.gpu_load(layer);
  std::optional<Swap> best;
  std::int64_t limit = load[busiest];
  for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) {
    if (gpu == busiest) continue;
    for (const std::size_t i : items[busiest]) {
      for (const std::size_t j : items[gpu]) {
        const std::int64_t shift = instance.load_units(layer, i) - instance.load_units(layer, j);
        const std::int64_t after = std::max(load[busiest] - shift, load[gpu] + shift);
        if (shift <= 0 || after >= limit || arrangement.swap_duplicates(layer, i, j)) continue;
        limit = after;
        best = Swap{i, j};
      }
    }
  }
  return best;
}

}  // namespace

void balance_loads(Arrangement& arrangement, Budget& budget) {
  for (std::size_t layer = 0; layer < arrangement.instance().layers(); ++layer) {
    auto items = items_by_gpu(arrangement, layer);
    while (!budget.exhausted()) {
      const auto load = arrangement.gpu_load(layer);
      const auto busiest = static_cast<std::size_t>(std::max_element(load.begin(), load.end()) - load.begin());
      budget.spend(items[busiest].size() * arrangement.instance().items());
      const auto swap = best_swap(arrangement, layer, busiest, items);
      if (!swap) break;
      const std::size_t other = arrangement.gpu_of(layer, swap->j);
      arrangement.swap(layer, swap->i, swap->j);
      std::ranges::replace(items[busiest], swap->i, swap->j);
      std::ranges::replace(items[other], swap->j, swap->i);
    }
  }
}

std::vector<std::int64_t> largest_loads(const Arrangement& arrangement) {
  std::vector<std::int64_t> largest;
  for (std::size_t layer = 0; layer < arrangement.instance().layers(); ++layer) {
    largest.push_back(std::ranges::max(arrangement.gpu_load(layer)));
  }
  return largest;
}

}  // namespace evenkeel
