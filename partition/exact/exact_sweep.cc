#include "partition/exact/exact_sweep.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "partition/exact/glpk_layer.h"
#include "partition/exact/glpk_pair.h"

namespace evenkeel {
namespace {

/// Below this GLPK does not finish its first relaxation, so a solve is not begun.
constexpr double kSolveSecondsMin = 0.01;
/// Nodes of one solve under a work budget, and what a node counts as, in swap proposals of equal time.
constexpr std::uint64_t kLayerNodesMax = 200;
constexpr std::uint64_t kPairNodesMax = 50;
constexpr std::uint64_t kNodeUnits = 20'000;
/// A pair block that has not closed by then is not going to.
constexpr double kPairSecondsMax = 1.0;
constexpr std::size_t kPairSlotsMax = 8;

bool is_over(const BudgetSlice& slice) {
  return slice.exhausted() || (slice.is_wall() && slice.remaining() < kSolveSecondsMin);
}

LayerProgram program_of(const Arrangement& arrangement, std::size_t layer, std::int64_t cap_units) {
  const Instance& instance = arrangement.instance();
  LayerProgram program{Grid<double>(instance.items(), instance.gpus),
                       instance.expert_of_item[layer],
                       instance.load_units[layer],
                       cap_units,
                       instance.slots_per_gpu(),
                       arrangement.assignment()[layer]};
  for (std::size_t item = 0; item < instance.items(); ++item) {
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu)
      program.affinity(item, gpu) = arrangement.affinity(layer, item, gpu);
  }
  return program;
}

/// What a layer would gain if every item lay where it is drawn most: more than it can, but in the same order.
double pull(const Arrangement& arrangement, std::size_t layer) {
  const Instance& instance = arrangement.instance();
  double sum = 0;
  for (std::size_t item = 0; item < instance.items(); ++item) {
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) most = std::max(most, arrangement.affinity(layer, item, gpu));
    sum += most - arrangement.affinity(layer, item, arrangement.gpu_of(layer, item));
  }
  return sum;
}

class LayerSweep {
 public:
  LayerSweep(Arrangement& arrangement, std::span<const std::int64_t> cap_units)
      : arrangement_(arrangement),
        cap_units_(cap_units),
        pending_(arrangement.instance().layers(), 0.0),
        left_to_gain_(pending_.size(), 0.0) {
    for (std::size_t layer = 0; layer < pending_.size(); ++layer) mark(layer);
  }

  BlockReport run(BudgetSlice& slice) {
    while (!is_over(slice)) {
      const auto layer = static_cast<std::size_t>(std::ranges::max_element(pending_) - pending_.begin());
      if (pending_[layer] <= 0) break;
      solve(layer, slice);
    }
    const bool is_complete = !leaves_layers_ && std::ranges::all_of(pending_, [](double pull) { return pull <= 0; });
    if (is_complete && !pending_.empty()) report_.gain_bound = std::ranges::max(left_to_gain_);
    return report_;
  }

 private:
  /// A pull of nothing is still to be looked at.
  void mark(std::size_t layer) {
    if (arrangement_.instance().has_own_traffic(layer)) {
      leaves_layers_ = true;
      return;
    }
    pending_[layer] = std::max(pull(arrangement_, layer), std::numeric_limits<double>::min());
  }

  /// Half of what is left, shared by the layers still to visit: later visits then have time too.
  [[nodiscard]] ExactLimit limit(const BudgetSlice& slice) const {
    if (!slice.is_wall()) return {std::nullopt, kLayerNodesMax};
    const auto left = static_cast<double>(std::ranges::count_if(pending_, [](double pull) { return pull > 0; }));
    return {std::chrono::duration<double>(std::max(kSolveSecondsMin, slice.remaining() / (2.0 * left))), std::nullopt};
  }

  void solve(std::size_t layer, BudgetSlice& slice) {
    const ExactLimit until = limit(slice);
    const LayerProgram program = program_of(arrangement_, layer, cap_units_[layer]);
    const LayerSolution solution = solve_layer(program, until);
    slice.spend(until.nodes.value_or(0) * kNodeUnits);
    pending_[layer] = 0;
    ++report_.solves;
    report_.closed += solution.is_closed ? 1 : 0;
    left_to_gain_[layer] = solution.bound - solution.kept;
    if (std::ranges::equal(solution.gpu_of_item, arrangement_.assignment()[layer])) return;
    ++report_.improved;
    double before = 0;
    for (std::size_t item = 0; item < program.incumbent.size(); ++item)
      before += program.affinity(item, program.incumbent[item]);
    report_.gain += solution.kept - before;
    arrangement_.assign_layer(layer, solution.gpu_of_item);
    for (const Neighbour& other : arrangement_.instance().neighbours[layer]) mark(other.layer);
  }

  Arrangement& arrangement_;
  std::span<const std::int64_t> cap_units_;
  /// Expected gain of the layers still to visit, else 0 [layers].
  std::vector<double> pending_;
  /// Bound less value of each layer's last solve [layers].
  std::vector<double> left_to_gain_;
  /// Whether there are layers that are not looked at.
  bool leaves_layers_ = false;
  BlockReport report_;
};

/// Traffic between the two GPUs inside the block: what another split may win.
double cross_traffic(const Arrangement& arrangement, const PairBlock& block) {
  const Instance& instance = arrangement.instance();
  double sum = 0;
  for (std::size_t layer = block.first_layer; layer + 1 < block.first_layer + block.layers; ++layer) {
    const Grid<float>* const next = instance.traffic(layer, layer + 1);
    if (next == nullptr) continue;
    for (std::size_t i = 0; i < instance.items(); ++i) {
      const std::size_t gpu = arrangement.gpu_of(layer, i);
      if (gpu != block.gpu_a && gpu != block.gpu_b) continue;
      const std::size_t other_gpu = gpu == block.gpu_a ? block.gpu_b : block.gpu_a;
      for (std::size_t j = 0; j < instance.items(); ++j) {
        if (arrangement.gpu_of(layer + 1, j) == other_gpu) sum += static_cast<double>((*next)(i, j));
      }
    }
  }
  return sum;
}

/// Blocks of all pairs of GPUs, most traffic between the two first.
std::vector<PairBlock> blocks_by_traffic(const Arrangement& arrangement, std::size_t layers) {
  const Instance& instance = arrangement.instance();
  std::vector<std::pair<double, PairBlock>> scored;
  for (std::size_t first = 0; first + layers <= instance.layers(); ++first) {
    for (std::size_t a = 0; a < instance.gpus; ++a) {
      for (std::size_t b = a + 1; b < instance.gpus; ++b) {
        const PairBlock block{a, b, first, layers};
        scored.emplace_back(cross_traffic(arrangement, block), block);
      }
    }
  }
  std::ranges::stable_sort(scored, std::greater<>(), &std::pair<double, PairBlock>::first);
  std::vector<PairBlock> blocks;
  for (const auto& [traffic, block] : scored) blocks.push_back(block);
  return blocks;
}

/// Layers of a block that close within a second: few slots leave room for more.
std::size_t block_layers(const Instance& instance) {
  const std::size_t layers = instance.slots_per_gpu() <= 4 ? 4 : 2;
  return std::min(layers, instance.layers());
}

ExactLimit pair_limit(const BudgetSlice& slice) {
  if (!slice.is_wall()) return {std::nullopt, kPairNodesMax};
  return {std::chrono::duration<double>(std::min(kPairSecondsMax, slice.remaining())), std::nullopt};
}

bool takes_pairs(const Instance& instance) {
  if (instance.gpus < 2 || instance.slots_per_gpu() > kPairSlotsMax || instance.layers() < 2) return false;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    if (instance.has_own_traffic(layer)) return false;
  }
  return instance.is_chain();
}

}  // namespace

BlockReport sweep_layers(Arrangement& arrangement, std::span<const std::int64_t> cap_units, BudgetSlice& slice) {
  return LayerSweep(arrangement, cap_units).run(slice);
}

std::chrono::duration<double> sweep_estimate(const Instance& instance) {
  const auto columns = static_cast<double>(instance.items() * instance.gpus);
  return std::chrono::duration<double>(static_cast<double>(instance.layers()) * 1.9e-8 * columns * columns);
}

BlockReport sweep_pairs(Arrangement& arrangement, std::span<const std::int64_t> cap_units, BudgetSlice& slice) {
  BlockReport report;
  if (!takes_pairs(arrangement.instance())) return report;
  bool improved = true;
  while (improved && !is_over(slice)) {
    improved = false;
    double left_to_gain = 0;
    const auto blocks = blocks_by_traffic(arrangement, block_layers(arrangement.instance()));
    for (const PairBlock& block : blocks) {
      if (is_over(slice)) return report;
      const ExactLimit limit = pair_limit(slice);
      const PairSolution solution = solve_pair(arrangement, cap_units, block, limit);
      slice.spend(limit.nodes.value_or(0) * kNodeUnits);
      ++report.solves;
      report.closed += solution.is_closed ? 1 : 0;
      left_to_gain = std::max(left_to_gain, solution.gain_bound);
      if (solution.moves.empty()) continue;
      improved = true;
      ++report.improved;
      report.gain += solution.gain;
      for (const ItemMove& move : solution.moves) arrangement.move(move.layer, move.item, move.to);
    }
    if (!improved) report.gain_bound = left_to_gain;
  }
  return report;
}

}  // namespace evenkeel
