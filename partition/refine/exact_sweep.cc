#include "partition/refine/exact_sweep.h"

#include <algorithm>
#include <vector>

#include "partition/refine/glpk_layer.h"

namespace evenkeel {
namespace {

/// Below this GLPK does not finish its first relaxation, so a solve is not begun.
constexpr std::chrono::duration<double> kSolveTimeMin{0.01};
/// Nodes of one solve under a work budget, and what a node counts as, in swap proposals of equal time.
constexpr std::uint64_t kSolveNodesMax = 200;
constexpr std::uint64_t kNodeUnits = 20'000;

bool has_own_traffic(const Instance& instance, std::size_t layer) {
  return std::ranges::any_of(instance.neighbours[layer], [&](const Neighbour& other) { return other.layer == layer; });
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

/// Half of what is left, shared by the layers still to visit: later sweeps then have time too.
ExactLimit limit_of(const Budget& budget, std::size_t pending) {
  if (!budget.is_wall()) return {std::nullopt, kSolveNodesMax};
  return {std::max(kSolveTimeMin, budget.remaining() / (2.0 * static_cast<double>(pending))), std::nullopt};
}

}  // namespace

SweepReport sweep_layers(Arrangement& arrangement, std::span<const std::int64_t> cap_units, Budget& budget) {
  const Instance& instance = arrangement.instance();
  SweepReport report;
  std::vector<bool> is_pending(instance.layers());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) is_pending[layer] = !has_own_traffic(instance, layer);
  while (true) {
    const auto pending = static_cast<std::size_t>(std::ranges::count(is_pending, true));
    if (pending == 0) return report;
    const ExactLimit limit = limit_of(budget, pending);
    for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
      if (!is_pending[layer]) continue;
      if (budget.exhausted() || (budget.is_wall() && budget.remaining() < kSolveTimeMin)) return report;
      is_pending[layer] = false;
      const LayerProgram program = program_of(arrangement, layer, cap_units[layer]);
      const LayerSolution solution = solve_layer(program, limit);
      budget.spend(limit.nodes.value_or(0) * kNodeUnits);
      ++report.solves;
      if (solution.bound <= solution.kept * (1.0 + 1e-3)) ++report.closed;
      if (std::ranges::equal(solution.gpu_of_item, arrangement.assignment()[layer])) continue;
      arrangement.assign_layer(layer, solution.gpu_of_item);
      for (const Neighbour& other : instance.neighbours[layer])
        is_pending[other.layer] = !has_own_traffic(instance, other.layer);
    }
  }
}

}  // namespace evenkeel
