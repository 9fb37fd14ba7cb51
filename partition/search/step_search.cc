#include "partition/search/step_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>
#include <tuple>
#include <vector>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"
#include "partition/search/annealing.h"
#include "partition/search/dispatch_layer.h"
#include "partition/search/smooth_largest.h"

namespace evenkeel {
namespace {

/// Temperatures, in units of the typical change of a random swap.
constexpr double kHotStart = 0.4;
constexpr double kColdEnd = 0.005;
/// How close the smooth largest is to the largest: of loads that are even to 1 / sharpness nearly all count.
constexpr double kBlunt = 40;
constexpr double kSharp = 150;
constexpr std::size_t kLevels = 24;
constexpr double kStepRunUnits = 2e6;

/// What a proposal does.
struct Proposal {
  std::size_t i, j, a, b;
  std::int32_t gpu_a = 0, gpu_b = 0, node_a = 0, node_b = 0;
  double compute = 0;
  double gpu_sum = 0, node_sum = 0;
  double seconds = 0;
};

/// One layer at one sharpness.
class SmoothLayer {
 public:
  SmoothLayer(const Instance& instance, const StepGoal& goal, std::size_t layer, DispatchLayer& dispatch,
              double sharpness)
      : instance_(instance),
        goal_(goal),
        prices_(goal.transfer[layer]),
        dispatch_(dispatch),
        compute_(goal.item_seconds[layer], dispatch.gpu_of_item(), instance.gpus, sharpness),
        gpus_(dispatch.tokens_of_gpu(), sharpness),
        nodes_(instance.nodes > 1 ? dispatch.tokens_of_node() : dispatch.tokens_of_gpu(), sharpness) {
    touched_gpus_ = std::accumulate(dispatch.tokens_of_gpu().begin(), dispatch.tokens_of_gpu().end(), std::int64_t{0});
    touched_nodes_ =
        std::accumulate(dispatch.tokens_of_node().begin(), dispatch.tokens_of_node().end(), std::int64_t{0});
    seconds_ = goal.seconds(compute_.value(), transfer(touched_gpus_, gpus_.sum(), touched_nodes_, nodes_.sum()));
  }

  [[nodiscard]] Proposal propose(std::size_t i, std::size_t j) const {
    Proposal swap{i, j, dispatch_.gpu_of(i), dispatch_.gpu_of(j)};
    swap.compute = compute_.change(i, j, swap.a, swap.b);
    const auto tokens = dispatch_.tokens_of_gpu();
    std::tie(swap.gpu_a, swap.gpu_b) = dispatch_.gpu_change(i, j);
    swap.gpu_sum = gpus_.sum_with(tokens[swap.a], tokens[swap.b], swap.gpu_a, swap.gpu_b);
    swap.node_sum = nodes_.sum();
    const std::size_t node_a = instance_.node_of(swap.a);
    const std::size_t node_b = instance_.node_of(swap.b);
    if (node_a != node_b) {
      const auto of_node = dispatch_.tokens_of_node();
      std::tie(swap.node_a, swap.node_b) = dispatch_.node_change(i, j);
      swap.node_sum = nodes_.sum_with(of_node[node_a], of_node[node_b], swap.node_a, swap.node_b);
    }
    swap.seconds = goal_.seconds(compute_.value() + swap.compute,
                                 transfer(touched_gpus_ + swap.gpu_a + swap.gpu_b, swap.gpu_sum,
                                          touched_nodes_ + swap.node_a + swap.node_b, swap.node_sum)) -
                   seconds_;
    return swap;
  }

  void apply(const Proposal& swap) {
    compute_.apply(swap.i, swap.j, swap.a, swap.b, swap.compute);
    gpus_.set_sum(swap.gpu_sum);
    nodes_.set_sum(swap.node_sum);
    touched_gpus_ += swap.gpu_a + swap.gpu_b;
    touched_nodes_ += swap.node_a + swap.node_b;
    seconds_ += swap.seconds;
    dispatch_.swap(swap.i, swap.j);
  }

 private:
  [[nodiscard]] double transfer(std::int64_t gpus, double gpu_sum, std::int64_t nodes, double node_sum) const {
    const double inside = prices_.gpus.shared * static_cast<double>(gpus) + prices_.gpus.busiest * gpus_.of(gpu_sum);
    if (instance_.nodes == 1) return inside;
    return std::max(inside,
                    prices_.nodes.shared * static_cast<double>(nodes) + prices_.nodes.busiest * nodes_.of(node_sum));
  }

  const Instance& instance_;
  const StepGoal& goal_;
  const TransferPrices& prices_;
  DispatchLayer& dispatch_;
  SmoothCompute compute_;
  SmoothLargest gpus_, nodes_;
  std::int64_t touched_gpus_ = 0, touched_nodes_ = 0;
  double seconds_ = 0;
};

double typical_step_change(const SmoothLayer& layer, const DispatchLayer& dispatch, Random& random) {
  constexpr int kPairs = 200;
  double sum = 0;
  const auto items = static_cast<std::uint32_t>(dispatch.items());
  for (int pair = 0; pair < kPairs; ++pair) {
    const std::size_t i = random.below(items);
    const std::size_t j = random.below(items);
    if (dispatch.gpu_of(i) != dispatch.gpu_of(j)) sum += std::abs(layer.propose(i, j).seconds);
  }
  return sum / kPairs;
}

double seconds_of(const Instance& instance, const StepGoal& goal, std::size_t layer,
                  std::span<const GpuIndex> gpu_of_item, std::span<const std::int64_t> tokens_of_gpu,
                  std::span<const std::int64_t> tokens_of_node) {
  const Grid<float>& item_seconds = goal.item_seconds[layer];
  const std::size_t samples = item_seconds.cols();
  Grid<double> load(instance.gpus, samples);
  for (std::size_t item = 0; item < item_seconds.rows(); ++item) {
    for (std::size_t sample = 0; sample < samples; ++sample)
      load(gpu_of_item[item], sample) += item_seconds(item, sample);
  }
  double compute = 0;
  for (std::size_t sample = 0; sample < samples; ++sample) {
    double largest = 0;
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) largest = std::max(largest, load(gpu, sample));
    compute += largest / static_cast<double>(samples);
  }
  const auto time = [](const TransferPrices::Tier& tier, std::span<const std::int64_t> tokens) {
    if (tokens.empty()) return 0.0;
    const auto sum = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
    return tier.shared * static_cast<double>(sum) + tier.busiest * static_cast<double>(std::ranges::max(tokens));
  };
  const TransferPrices& prices = goal.transfer[layer];
  return goal.seconds(compute, std::max(time(prices.gpus, tokens_of_gpu), time(prices.nodes, tokens_of_node)));
}

void anneal_layer(const Instance& instance, const StepGoal& goal, std::size_t layer, DispatchLayer& dispatch,
                  Random& random, BudgetSlice& slice) {
  static const MetropolisTable metropolis;
  constexpr std::uint64_t kBatch = 256;
  const auto items = static_cast<std::uint32_t>(dispatch.items());
  const std::uint64_t units_per_swap = dispatch.sets_per_item() * 2;
  double scale = 0;
  for (std::size_t level = 0; level < kLevels; ++level) {
    const double done = static_cast<double>(level) / (kLevels - 1);
    SmoothLayer smooth(instance, goal, layer, dispatch, kBlunt * std::pow(kSharp / kBlunt, done));
    if (level == 0) scale = typical_step_change(smooth, dispatch, random);
    // The last level goes down alone.
    const double temperature = level + 1 == kLevels ? 0.0 : scale * kHotStart * std::pow(kColdEnd / kHotStart, done);
    const double end = static_cast<double>(level + 1) / kLevels;
    while (!slice.exhausted() && slice.progress() < end) {
      std::uint64_t units = kBatch;
      for (std::uint64_t batch = 0; batch < kBatch; ++batch) {
        const std::size_t i = random.below(items);
        const std::size_t j = random.below(items);
        const std::uint64_t luck = random.next();
        if (dispatch.gpu_of(i) == dispatch.gpu_of(j)) continue;
        const Proposal swap = smooth.propose(i, j);
        // Not "at least": what overflowed is no number.
        if (!(swap.seconds < temperature * metropolis.at(luck)) || dispatch.swap_duplicates(i, j)) continue;
        smooth.apply(swap);
        units += units_per_swap;
      }
      slice.spend(units);
    }
  }
}

}  // namespace

double layer_seconds(const Instance& instance, const StepGoal& goal, std::size_t layer,
                     std::span<const GpuIndex> gpu_of_item) {
  const TouchingTokens tokens = touching_tokens(instance, layer, gpu_of_item);
  return seconds_of(instance, goal, layer, gpu_of_item, tokens.gpus, tokens.nodes);
}

double step_seconds(const Instance& instance, const StepGoal& goal, const Assignment& assignment) {
  double sum = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer)
    sum += layer_seconds(instance, goal, layer, assignment[layer]);
  return sum;
}

Assignment faster_layers(const Instance& instance, const StepGoal& goal, const Assignment& a, const Assignment& b) {
  Assignment result = a;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    if (layer_seconds(instance, goal, layer, b[layer]) < layer_seconds(instance, goal, layer, a[layer]))
      std::ranges::copy(b[layer], result[layer].begin());
  }
  return result;
}

Assignment anneal_step(const Instance& instance, const StepGoal& goal, const Assignment& start, BudgetSlice& slice,
                       std::uint64_t seed, std::size_t threads) {
  Assignment best = start;
  for_each_item(instance.layers(), threads, [&](std::size_t layer) {
    BudgetSlice part = slice.part(layer, instance.layers(), threads);
    if (part.exhausted()) return;
    double least = layer_seconds(instance, goal, layer, start[layer]);
    Random random(seed, layer);
    const std::size_t runs = short_runs(part, instance.items(), kStepRunUnits);
    for (std::size_t run = 0; run < runs && !part.exhausted(); ++run) {
      BudgetSlice slice_of_run = part.part(run, runs, 1);
      DispatchLayer candidate(instance, layer, start[layer]);
      anneal_layer(instance, goal, layer, candidate, random, slice_of_run);
      const double seconds = seconds_of(instance, goal, layer, candidate.gpu_of_item(), candidate.tokens_of_gpu(),
                                        candidate.tokens_of_node());
      if (seconds >= least) continue;
      least = seconds;
      std::ranges::copy(candidate.gpu_of_item(), best[layer].begin());
    }
  });
  return best;
}

}  // namespace evenkeel
