#include "partition/search/anneal.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "partition/foundation/random.h"
#include "partition/search/annealing.h"
#include "partition/search/wide_vectors.h"
#include "partition/search/window_loads.h"

namespace evenkeel {
namespace {

/// Measured over shapes from 24 x 32 to 58 x 256.
constexpr AnnealingRange kRange{.hot = 1.0, .cold = 0.1, .soft = 0.02, .stiff = 50.0};
/// Proposals an item and visit of a layer, and visits between two changes of price: long enough for a layer's tables to
/// stay in the cache and for a thread to be worth starting, short enough for a clock.
constexpr std::size_t kProposalsPerItem = 8;
constexpr std::size_t kVisitsPerPhase = 4;
/// Fewer layers are not worth a second thread.
constexpr std::size_t kLayersToSplit = 8;

/// Layers [first, last) that one thread works on.
struct Range {
  std::size_t first;
  std::size_t last;
  [[nodiscard]] bool holds(std::size_t layer) const { return layer >= first && layer < last; }
};

/// What a swap would do.
struct Proposal {
  std::size_t i, j;
  /// Parts of i and j.
  std::size_t a, b;
};

/// Affinities of a neighbouring layer when item i leaves part a for b and item j the other way. The innermost loop of
/// the search: wider vectors, where the machine has them, take a third off it.
EVENKEEL_WIDE_VECTORS("avx512f", "avx2")
void exchange(float* __restrict on_a, float* __restrict on_b, const float* __restrict traffic_i,
              const float* __restrict traffic_j, std::size_t items) {
  for (std::size_t item = 0; item < items; ++item) {
    const float change = traffic_i[item] - traffic_j[item];
    on_a[item] -= change;
    on_b[item] += change;
  }
}

void exchange(Grid<float>& affinity, std::size_t a, std::size_t b, std::span<const float> traffic_i,
              std::span<const float> traffic_j) {
  exchange(affinity[a].data(), affinity[b].data(), traffic_i.data(), traffic_j.data(), traffic_i.size());
}

class Annealing {
 public:
  Annealing(const Instance& instance, Assignment part_of_item, const LoadGoal& goal, const AnnealOptions& options)
      : instance_(instance),
        goal_(goal),
        options_(options),
        is_gpu_level_(options.level == Level::kGpus),
        parts_(is_gpu_level_ ? instance.gpus : instance.nodes),
        parts_per_node_(is_gpu_level_ ? instance.gpus_per_node() : 1),
        has_tiers_(is_gpu_level_ && instance.nodes > 1),
        node_gain_(static_cast<float>(instance.node_gain)),
        part_of_item_(std::move(part_of_item)),
        load_(instance.layers(), instance.items()),
        threshold_(instance.layers()),
        affinity_(instance.layers(), Grid<float>(parts_, instance.items())) {
    // A GPU of the right node, chosen without knowledge, is the right one once in so many.
    const double gpu_gain_in_node = instance.gpu_gain / static_cast<double>(instance.gpus_per_node());
    part_gain_ = static_cast<float>(is_gpu_level_ ? instance.gpu_gain : instance.node_gain + gpu_gain_in_node);
    if (has_tiers_) node_affinity_.assign(instance.layers(), Grid<float>(instance.nodes, instance.items()));
    if (instance.has_replicas()) copies_.assign(instance.layers(), Grid<std::uint8_t>(instance.experts, parts_));
    for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
      take_in_loads(layer);
      recompute_affinity(layer);
      for (std::size_t item = 0; instance.has_replicas() && item < instance.items(); ++item)
        ++copies_[layer](instance.expert_of_item(layer, item), part_of_item_(layer, item));
    }
  }

  [[nodiscard]] Assignment run(BudgetSlice& slice) {
    const double scale = typical_change();
    for (std::uint64_t phase = 0; !slice.exhausted(); ++phase) {
      const auto prices = AnnealingPrices::at(slice.progress(), scale, kRange, goal_);
      slice.spend(run_phase(phase, prices));
    }
    return std::move(part_of_item_);
  }

 private:
  void take_in_loads(std::size_t layer) {
    const auto units = instance_.load_units[layer];
    const double total = static_cast<double>(std::accumulate(units.begin(), units.end(), std::int64_t{0}));
    const double mean = std::max(1.0, total / static_cast<double>(parts_));
    std::ranges::transform(units, load_[layer].begin(),
                           [&](std::int64_t item) { return static_cast<float>(static_cast<double>(item) / mean); });
    const double gpu_mean = std::max(1.0, total / static_cast<double>(instance_.gpus));
    if (instance_.has_windows()) return;
    threshold_[layer] = static_cast<float>(static_cast<double>(goal_.threshold_units[layer]) / gpu_mean);
  }

  /// Returns the proposals made.
  std::uint64_t run_phase(std::uint64_t phase, const AnnealingPrices& prices) {
    const std::size_t layers = instance_.layers();
    const std::uint64_t proposals = kVisitsPerPhase * kProposalsPerItem * instance_.items();
    if (layers < kLayersToSplit || !instance_.is_chain()) {
      run_range({0, layers}, Random(options_.seed, 2 * phase), prices);
      return proposals * layers;
    }
    const std::size_t frozen = layers / 2 - 2 + phase % 5;
    const auto left = [&] { run_range({0, frozen}, Random(options_.seed, 2 * phase), prices); };
    const auto right = [&] { run_range({frozen + 1, layers}, Random(options_.seed, 2 * phase + 1), prices); };
    if (options_.threads > 1) {
      const std::jthread other(right);
      left();
    } else {
      left();
      right();
    }
    recompute_affinity(frozen);
    return proposals * (layers - 1);
  }

  void run_range(Range range, Random random, const AnnealingPrices& prices) {
    for (std::size_t visit = 0; visit < kVisitsPerPhase; ++visit) {
      for (std::size_t layer = range.first; layer < range.last; ++layer) {
        instance_.has_windows() ? visit_windows(layer, range, random, prices)
                                : visit_layer(layer, range, random, prices);
      }
    }
  }

  /// A visit under a cap on the peak over windows. Every GPU's excess in every window is priced, not the peak's alone,
  /// which is flat over most swaps and leads to loads that last less well.
  void visit_windows(std::size_t layer, Range range, Random& random, const AnnealingPrices& prices) {
    const std::uint64_t items = instance_.items();
    const auto part = part_of_item_[layer];
    const auto peak_max = static_cast<float>(goal_.window_peak_max[layer]);
    WindowLoads loads(instance_, layer, part);
    for (std::size_t proposal = 0; proposal < kProposalsPerItem * items; ++proposal) {
      const std::uint64_t draw = random.next();
      const std::size_t i = ((draw & 0xFFFFFF) * items) >> 24;
      const std::size_t j = (((draw >> 24) & 0xFFFFFF) * items) >> 24;
      const Proposal swap{i, j, part[i], part[j]};
      if (swap.a == swap.b) continue;
      const WindowSwap load_swap{i, j, swap.a, swap.b};
      const float cost =
          loads.excess_price(load_swap, peak_max, prices.excess, prices.excess_squared) - gain(layer, swap);
      if (cost >= prices.temperature * metropolis_.at(draw >> 48) || doubles_copy(layer, swap)) continue;
      loads.apply(load_swap);
      apply(layer, swap, range);
    }
  }

  void visit_layer(std::size_t layer, Range range, Random& random, const AnnealingPrices& prices) {
    const std::uint64_t items = instance_.items();
    const auto part = part_of_item_[layer];
    const auto load = load_[layer];
    const float threshold = threshold_[layer];
    std::vector<float> part_load(parts_, 0.0F);
    for (std::size_t item = 0; item < items; ++item) part_load[part[item]] += load[item];
    float peak = std::ranges::max(part_load);
    for (std::size_t proposal = 0; proposal < kProposalsPerItem * items; ++proposal) {
      const std::uint64_t draw = random.next();
      const std::size_t i = ((draw & 0xFFFFFF) * items) >> 24;
      const std::size_t j = (((draw >> 24) & 0xFFFFFF) * items) >> 24;
      const Proposal swap{i, j, part[i], part[j]};
      if (swap.a == swap.b) continue;
      const float shift = load[i] - load[j];
      const float at_a = part_load[swap.a];
      const float at_b = part_load[swap.b];
      float cost = prices.of_load(at_a - shift, threshold) + prices.of_load(at_b + shift, threshold) -
                   prices.of_load(at_a, threshold) - prices.of_load(at_b, threshold) - gain(layer, swap);
      float peak_after = peak;
      if (prices.peak > 0) {
        peak_after = peak_with(part_load, peak, swap, at_a - shift, at_b + shift);
        cost += prices.peak * (peak_after - peak);
      }
      if (cost >= prices.temperature * metropolis_.at(draw >> 48) || doubles_copy(layer, swap)) continue;
      part_load[swap.a] -= shift;
      part_load[swap.b] += shift;
      peak = peak_after;
      apply(layer, swap, range);
    }
  }

  /// By how much a swap lowers communication.
  [[nodiscard]] float gain(std::size_t layer, const Proposal& swap) const {
    float change = part_gain_ * change_of(affinity_[layer], swap.i, swap.j, swap.a, swap.b);
    const std::size_t m = swap.a / parts_per_node_;
    const std::size_t n = swap.b / parts_per_node_;
    const bool crosses_nodes = has_tiers_ && m != n;
    if (crosses_nodes) change += node_gain_ * change_of(node_affinity_[layer], swap.i, swap.j, m, n);
    for (const Neighbour& own : instance_.neighbours[layer]) {
      // With several rounds over one layer an item's affinity counts the other item, which moves too, and itself.
      if (own.layer != layer) continue;
      const auto& traffic = own.traffic;
      const float both = traffic(swap.i, swap.i) + traffic(swap.j, swap.j) - 2.0F * traffic(swap.i, swap.j);
      change += (part_gain_ + (crosses_nodes ? node_gain_ : 0.0F)) * both;
    }
    return change;
  }

  /// Traffic kept on the parts of a tier after items i and j of parts a and b change places, less that before.
  static float change_of(const Grid<float>& affinity, std::size_t i, std::size_t j, std::size_t a, std::size_t b) {
    return affinity(b, i) - affinity(a, i) + affinity(a, j) - affinity(b, j);
  }

  static float peak_with(const std::vector<float>& part_load, float peak, const Proposal& swap, float at_a,
                         float at_b) {
    const float larger = std::max(at_a, at_b);
    if (larger >= peak || std::max(part_load[swap.a], part_load[swap.b]) < peak) return std::max(peak, larger);
    float result = larger;
    for (std::size_t part = 0; part < part_load.size(); ++part) {
      if (part != swap.a && part != swap.b) result = std::max(result, part_load[part]);
    }
    return result;
  }

  [[nodiscard]] bool doubles_copy(std::size_t layer, const Proposal& swap) const {
    if (!instance_.has_replicas()) return false;
    const auto expert_i = instance_.expert_of_item(layer, swap.i);
    const auto expert_j = instance_.expert_of_item(layer, swap.j);
    return expert_i == expert_j || copies_[layer](expert_i, swap.b) > 0 || copies_[layer](expert_j, swap.a) > 0;
  }

  void apply(std::size_t layer, const Proposal& swap, Range range) {
    const auto [i, j, a, b] = swap;
    const bool crosses_nodes = has_tiers_ && a / parts_per_node_ != b / parts_per_node_;
    for (const Neighbour& other : instance_.neighbours[layer]) {
      if (!range.holds(other.layer)) continue;
      exchange(affinity_[other.layer], a, b, other.traffic[i], other.traffic[j]);
      if (!crosses_nodes) continue;
      exchange(node_affinity_[other.layer], a / parts_per_node_, b / parts_per_node_, other.traffic[i],
               other.traffic[j]);
    }
    if (instance_.has_replicas()) {
      Grid<std::uint8_t>& copies = copies_[layer];
      --copies(instance_.expert_of_item(layer, i), a);
      ++copies(instance_.expert_of_item(layer, i), b);
      --copies(instance_.expert_of_item(layer, j), b);
      ++copies(instance_.expert_of_item(layer, j), a);
    }
    part_of_item_(layer, i) = static_cast<GpuIndex>(b);
    part_of_item_(layer, j) = static_cast<GpuIndex>(a);
  }

  void recompute_affinity(std::size_t layer) {
    std::ranges::fill(affinity_[layer].cells(), 0.0F);
    if (has_tiers_) std::ranges::fill(node_affinity_[layer].cells(), 0.0F);
    for (const Neighbour& other : instance_.neighbours[layer]) {
      const Grid<float>& to_here = *instance_.traffic(other.layer, layer);
      for (std::size_t item = 0; item < instance_.items(); ++item) {
        const std::size_t part = part_of_item_(other.layer, item);
        add(affinity_[layer][part], to_here[item]);
        if (has_tiers_) add(node_affinity_[layer][part / parts_per_node_], to_here[item]);
      }
    }
  }

  static void add(std::span<float> sums, std::span<const float> values) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += values[i];
  }

  /// Mean change of communication over random swaps, on the lowest tier: the structure that is left to find.
  [[nodiscard]] double typical_change() const {
    constexpr int kSamplesPerLayer = 100;
    Random random(options_.seed, ~std::uint64_t{0});
    const auto items = static_cast<std::uint32_t>(instance_.items());
    double sum = 0;
    std::size_t swaps = 0;
    for (std::size_t layer = 0; layer < instance_.layers(); ++layer) {
      for (int sample = 0; sample < kSamplesPerLayer; ++sample) {
        const std::size_t i = random.below(items);
        const std::size_t j = random.below(items);
        const auto part = part_of_item_[layer];
        if (part[i] == part[j]) continue;
        sum += static_cast<double>(part_gain_ * std::abs(change_of(affinity_[layer], i, j, part[i], part[j])));
        ++swaps;
      }
    }
    return swaps == 0 ? 0.0 : sum / static_cast<double>(swaps);
  }

  const Instance& instance_;
  const LoadGoal& goal_;
  const AnnealOptions& options_;
  bool is_gpu_level_;
  std::size_t parts_;
  std::size_t parts_per_node_;
  bool has_tiers_;
  float part_gain_ = 0;
  float node_gain_;
  Assignment part_of_item_;
  /// Load of each item, and from which load of a part excess is priced, as ratios to a part's mean.
  Grid<float> load_;
  std::vector<float> threshold_;
  /// Traffic each item would keep on a part [layers] of [parts, items], and on a node.
  std::vector<Grid<float>> affinity_;
  std::vector<Grid<float>> node_affinity_;
  /// Copies of each expert on each part [layers] of [experts, parts]; only with replicas.
  std::vector<Grid<std::uint8_t>> copies_;
  MetropolisTable metropolis_;
};

}  // namespace

Assignment anneal(const Instance& instance, Assignment part_of_item, const LoadGoal& goal, BudgetSlice& slice,
                  const AnnealOptions& options) {
  return Annealing(instance, std::move(part_of_item), goal, options).run(slice);
}

}  // namespace evenkeel
