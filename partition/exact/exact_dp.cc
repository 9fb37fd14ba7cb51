#include "partition/exact/exact_dp.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>

#include "partition/exact/layer_states.h"
#include "partition/exact/state_costs.h"
#include "partition/exact/state_traffic.h"
#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Limits on tables: blocks^2 doubles take 32 MB, a layer's states 160 KB.
constexpr double kBlocksMax = 2048;
constexpr double kStatesMax = 20'000;

/// Steps of one largest_matching(), reading its table included.
double matching_operations(std::size_t rows) {
  const auto n = static_cast<double>(rows);
  if (rows <= 2) return n * n + n;
  if (rows <= 8) return n * n + n * static_cast<double>(std::size_t{1} << (rows - 1));
  return 3 * n * n * n;
}

double operations(const Instance& instance, const LayerStateCounts& counts) {
  double sum = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    sum += counts.states * static_cast<double>(counts.blocks_per_state);
    if (instance.is_dispatch()) {
      sum += (counts.bins + counts.blocks) * static_cast<double>(instance.token_sets[layer].items.size());
    }
    if (instance.traffic(layer, layer + 1) == nullptr) continue;
    sum += counts.bins * counts.bins * static_cast<double>(instance.slots_per_gpu());
    sum += counts.blocks * counts.blocks * matching_operations(counts.gpus_per_block);
    sum += counts.states * counts.states * matching_operations(counts.blocks_per_state);
  }
  return sum;
}

/// The best way to end in each state of one layer.
struct Stage {
  /// Cost of all layers up to this one [states]; infinite for states beyond the cap.
  std::vector<double> cost;
  /// State of the layer before [states]; empty for the first.
  std::vector<std::uint32_t> previous;
};

class ExactDp {
 public:
  ExactDp(const Instance& instance, const LoadLimits& limits)
      : instance_(instance),
        limits_(limits),
        states_(enumerate_layer_states(instance.items(), instance.gpus, instance.nodes)) {}

  std::optional<Assignment> run() {
    for (std::size_t layer = 0; layer < instance_.layers(); ++layer) {
      stages_.push_back({own_costs(layer), {}});
      if (layer > 0) extend(layer);
      if (std::ranges::min(stages_.back().cost) == kInfinity) return std::nullopt;
    }
    return assignment();
  }

 private:
  /// Cost of each state by itself [states].
  [[nodiscard]] std::vector<double> own_costs(std::size_t layer) const {
    std::vector<double> costs = own_communication(instance_, states_, layer);
    const std::vector<std::int64_t> largest = largest_loads_of_states(instance_, states_, layer);
    const auto units = instance_.load_units[layer];
    const std::int64_t total = std::accumulate(units.begin(), units.end(), std::int64_t{0});
    const double per_unit =
        total == 0 ? 0.0 : limits_.peak_weight * static_cast<double>(instance_.gpus) / static_cast<double>(total);
    for (std::size_t state = 0; state < costs.size(); ++state) {
      costs[state] += per_unit * static_cast<double>(largest[state]);
      if (largest[state] > limits_.cap_units[layer]) costs[state] = kInfinity;
    }
    return costs;
  }

  /// Adds the least cost of the layers before, and of what this layer exchanges with the last of them.
  void extend(std::size_t layer) {
    const std::vector<double>& before = stages_[layer - 1].cost;
    Stage& stage = stages_[layer];
    stage.previous.assign(before.size(), 0);
    const Grid<float>* traffic = instance_.traffic(layer - 1, layer);
    if (traffic == nullptr) {
      const auto best = std::ranges::min_element(before);
      std::ranges::fill(stage.previous, static_cast<std::uint32_t>(best - before.begin()));
      for (double& cost : stage.cost) cost += *best;
      return;
    }
    const Grid<double> gains = StateTraffic(instance_, states_, *traffic).block_gains();
    Grid<double> meeting(states_.states.cols(), states_.states.cols());
    for (std::size_t there = 0; there < stage.cost.size(); ++there) {
      if (stage.cost[there] == kInfinity) continue;
      double least = kInfinity;
      for (std::size_t here = 0; here < before.size(); ++here) {
        if (before[here] == kInfinity) continue;
        const double cost = before[here] - state_gain(gains, here, there, meeting);
        if (cost >= least) continue;
        least = cost;
        stage.previous[there] = static_cast<std::uint32_t>(here);
      }
      stage.cost[there] += least;
    }
  }

  [[nodiscard]] double state_gain(const Grid<double>& gains, std::size_t here, std::size_t there,
                                  Grid<double>& meeting) const {
    const auto blocks_here = states_.states[here];
    const auto blocks_there = states_.states[there];
    for (std::size_t i = 0; i < blocks_here.size(); ++i) {
      for (std::size_t j = 0; j < blocks_there.size(); ++j) meeting(i, j) = gains(blocks_here[i], blocks_there[j]);
    }
    return largest_matching(meeting);
  }

  /// State of each layer on the cheapest way [layers].
  [[nodiscard]] std::vector<std::size_t> best_path() const {
    std::vector<std::size_t> path(stages_.size());
    const std::vector<double>& cost = stages_.back().cost;
    path.back() = static_cast<std::size_t>(std::ranges::min_element(cost) - cost.begin());
    for (std::size_t layer = path.size(); layer-- > 1;) path[layer - 1] = stages_[layer].previous[path[layer]];
    return path;
  }

  /// Names nodes and GPUs of one layer after the other as suits the layer before.
  [[nodiscard]] Assignment assignment() const {
    const std::vector<std::size_t> path = best_path();
    Assignment result(instance_.layers(), instance_.items());
    BinOfGpu bins = bins_in_order(states_, path.front());
    write(bins, result[0]);
    for (std::size_t layer = 1; layer < path.size(); ++layer) {
      const Grid<float>* traffic = instance_.traffic(layer - 1, layer);
      bins = traffic == nullptr ? bins_in_order(states_, path[layer])
                                : StateTraffic(instance_, states_, *traffic).best_names(bins, path[layer]);
      write(bins, result[layer]);
    }
    return result;
  }

  void write(const BinOfGpu& bins, std::span<GpuIndex> gpu_of_item) const {
    for (std::size_t gpu = 0; gpu < bins.size(); ++gpu) {
      for (const ExpertIndex item : states_.bins[bins[gpu]]) gpu_of_item[item] = static_cast<GpuIndex>(gpu);
    }
  }

  const Instance& instance_;
  const LoadLimits& limits_;
  LayerStates states_;
  std::vector<Stage> stages_;
};

}  // namespace

bool exact_dp_fits(const Instance& instance) {
  if (instance.has_replicas() || instance.layers() == 0 || !instance.is_chain()) return false;
  const LayerStateCounts counts = count_layer_states(instance.items(), instance.gpus, instance.nodes);
  return counts.bins <= kBlocksMax && counts.blocks <= kBlocksMax && counts.states <= kStatesMax &&
         operations(instance, counts) <= kExactOperationsMax;
}

std::optional<Assignment> exact_dp(const Instance& instance, const LoadLimits& limits) {
  EVENKEEL_CHECK(exact_dp_fits(instance), "exact_dp_fits() is asked first");
  EVENKEEL_CHECK(limits.cap_units.size() == instance.layers(), "one cap a layer");
  return ExactDp(instance, limits).run();
}

std::vector<std::int64_t> exact_largest_loads(const Instance& instance) {
  EVENKEEL_CHECK(exact_dp_fits(instance), "exact_dp_fits() is asked first");
  const LayerStates states = enumerate_layer_states(instance.items(), instance.gpus, instance.nodes);
  std::vector<std::int64_t> least(instance.layers());
  for (std::size_t layer = 0; layer < least.size(); ++layer) {
    least[layer] = std::ranges::min(largest_loads_of_states(instance, states, layer));
  }
  return least;
}

}  // namespace evenkeel
