#include "partition/search/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"
#include "partition/search/annealing.h"

namespace evenkeel {
namespace {

/// Closer to its bound a largest load need not come: a part in a million is below any measurement.
constexpr double kGapMet = 1e-6;
/// Annealings in a row without a better result before a layer is left.
constexpr int kFruitlessMax = 3;
/// Proposals an item of the first annealing.
constexpr std::uint64_t kFirstLength = 200;

/// Items of two GPUs that change places.
struct Swap {
  std::size_t i;
  std::size_t j;
};

/// Loads of one layer.
class LayerLoads {
 public:
  LayerLoads(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item)
      : instance_(&instance),
        layer_(layer),
        gpu_of_item_(gpu_of_item.begin(), gpu_of_item.end()),
        load_(instance.gpus, 0),
        items_(instance.gpus) {
    if (instance.has_replicas()) copies_ = Grid<std::uint8_t>(instance.experts, instance.gpus);
    for (std::size_t item = 0; item < gpu_of_item_.size(); ++item) {
      load_[gpu_of_item_[item]] += units(item);
      items_[gpu_of_item_[item]].push_back(item);
      if (instance.has_replicas()) ++copies_(instance.expert_of_item(layer, item), gpu_of_item_[item]);
    }
  }

  [[nodiscard]] std::span<const GpuIndex> gpu_of_item() const { return gpu_of_item_; }
  [[nodiscard]] std::size_t gpu_of(std::size_t item) const { return gpu_of_item_[item]; }
  [[nodiscard]] std::int64_t units(std::size_t item) const { return instance_->load_units(layer_, item); }
  [[nodiscard]] std::int64_t load(std::size_t gpu) const { return load_[gpu]; }
  [[nodiscard]] std::int64_t largest() const { return std::ranges::max(load_); }
  [[nodiscard]] double mean() const {
    const auto total = std::accumulate(load_.begin(), load_.end(), std::int64_t{0});
    return std::max(1.0, static_cast<double>(total) / static_cast<double>(load_.size()));
  }

  [[nodiscard]] bool duplicates(const Swap& swap) const {
    if (!instance_->has_replicas()) return false;
    const auto expert_i = instance_->expert_of_item(layer_, swap.i);
    const auto expert_j = instance_->expert_of_item(layer_, swap.j);
    return expert_i == expert_j || copies_(expert_i, gpu_of_item_[swap.j]) > 0 ||
           copies_(expert_j, gpu_of_item_[swap.i]) > 0;
  }

  void apply(const Swap& swap) {
    const std::size_t a = gpu_of_item_[swap.i];
    const std::size_t b = gpu_of_item_[swap.j];
    put(swap.i, a, b);
    put(swap.j, b, a);
    std::ranges::replace(items_[a], swap.i, swap.j);
    *std::ranges::find(items_[b], swap.j) = swap.i;
  }

  /// Swaps until none lowers the busiest GPU. Returns the swaps looked at.
  std::uint64_t descend() {
    std::uint64_t looked_at = 0;
    while (const auto swap = best_swap()) {
      apply(*swap);
      looked_at += instance_->slots_per_gpu() * instance_->items();
    }
    return looked_at + instance_->slots_per_gpu() * instance_->items();
  }

 private:
  void put(std::size_t item, std::size_t from, std::size_t to) {
    load_[from] -= units(item);
    load_[to] += units(item);
    gpu_of_item_[item] = static_cast<GpuIndex>(to);
    if (!instance_->has_replicas()) return;
    --copies_(instance_->expert_of_item(layer_, item), from);
    ++copies_(instance_->expert_of_item(layer_, item), to);
  }

  /// The swap that leaves the busiest GPU and its partner with the lowest larger load, below what the busiest has now.
  [[nodiscard]] std::optional<Swap> best_swap() const {
    const auto busiest = static_cast<std::size_t>(std::ranges::max_element(load_) - load_.begin());
    std::optional<Swap> best;
    std::int64_t limit = load_[busiest];
    for (std::size_t gpu = 0; gpu < load_.size(); ++gpu) {
      if (gpu == busiest) continue;
      for (const std::size_t i : items_[busiest]) {
        for (const std::size_t j : items_[gpu]) {
          const std::int64_t shift = units(i) - units(j);
          const std::int64_t after = std::max(load_[busiest] - shift, load_[gpu] + shift);
          if (shift <= 0 || after >= limit || duplicates({i, j})) continue;
          limit = after;
          best = Swap{i, j};
        }
      }
    }
    return best;
  }

  const Instance* instance_;
  std::size_t layer_;
  std::vector<GpuIndex> gpu_of_item_;
  std::vector<std::int64_t> load_;
  std::vector<std::vector<std::size_t>> items_;
  /// Copies of each expert on each GPU [experts, gpus]; only with replicas.
  Grid<std::uint8_t> copies_;
};

/// Anneals the sum of squares of load beyond the bound: what is spread over several GPUs counts less than a peak.
void anneal(LayerLoads& loads, double bound, std::uint64_t proposals, Random& random, BudgetSlice& slice) {
  static const MetropolisTable metropolis;
  constexpr std::uint64_t kBatch = 256;
  // From moves of whole experts to moves of a millionth of a GPU's load, squared.
  constexpr double kHot = 1e-3;
  constexpr double kCold = 1e-9;
  const double mean = loads.mean();
  const auto items = static_cast<std::uint32_t>(loads.gpu_of_item().size());
  const auto price = [&](std::int64_t units) {
    const double over = std::max(0.0, (static_cast<double>(units) - bound) / mean);
    return over * over;
  };
  for (std::uint64_t done = 0; done < proposals && !slice.exhausted(); done += kBatch) {
    slice.spend(kBatch);
    const double temperature =
        kHot * std::pow(kCold / kHot, static_cast<double>(done) / static_cast<double>(proposals));
    for (std::uint64_t batch = 0; batch < kBatch; ++batch) {
      const Swap swap{random.below(items), random.below(items)};
      const std::size_t a = loads.gpu_of(swap.i);
      const std::size_t b = loads.gpu_of(swap.j);
      if (a == b) continue;
      const std::int64_t shift = loads.units(swap.i) - loads.units(swap.j);
      const double cost =
          price(loads.load(a) - shift) + price(loads.load(b) + shift) - price(loads.load(a)) - price(loads.load(b));
      if (cost < temperature * static_cast<double>(metropolis.at(random.next())) && !loads.duplicates(swap))
        loads.apply(swap);
    }
  }
}

std::vector<GpuIndex> balance_layer(const Instance& instance, std::size_t layer, std::span<const GpuIndex> start,
                                    std::int64_t bound_units, BudgetSlice slice, std::uint64_t seed) {
  LayerLoads best(instance, layer, start);
  slice.spend(best.descend());
  const double bound = static_cast<double>(bound_units);
  Random random(seed, layer);
  std::uint64_t proposals = kFirstLength * instance.items();
  for (int fruitless = 0; fruitless < kFruitlessMax && !slice.exhausted(); proposals *= 2) {
    if (static_cast<double>(best.largest()) <= bound * (1 + kGapMet)) break;
    LayerLoads candidate = best;
    anneal(candidate, bound, proposals, random, slice);
    slice.spend(candidate.descend());
    ++fruitless;
    if (candidate.largest() >= best.largest()) continue;
    best = candidate;
    fruitless = 0;
  }
  return {best.gpu_of_item().begin(), best.gpu_of_item().end()};
}

}  // namespace

void balance_loads(const Instance& instance, std::span<const std::int64_t> bound_units, BudgetSlice& slice,
                   std::uint64_t seed, std::size_t threads, Assignment& assignment) {
  if (slice.exhausted()) return;
  for_each_item(instance.layers(), threads, [&](std::size_t layer) {
    const auto balanced = balance_layer(instance, layer, assignment[layer], bound_units[layer],
                                        slice.part(layer, instance.layers(), threads), seed);
    std::ranges::copy(balanced, assignment[layer].begin());
  });
}

std::vector<std::int64_t> largest_loads(const Instance& instance, const Assignment& assignment) {
  std::vector<std::int64_t> largest;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    auto load = gpu_load_units(instance, assignment, layer);
    for (std::size_t gpu = 0; gpu < load.size(); ++gpu) load[gpu] = weighed_units(load[gpu], instance.slowness, gpu);
    largest.push_back(std::ranges::max(load));
  }
  return largest;
}

}  // namespace evenkeel
