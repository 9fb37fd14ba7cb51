#include "partition/warmstart/metis_folded.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "partition/model/arrangement.h"
#include "partition/model/semi_assignment.h"
#include "partition/warmstart/lift.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_tiers.h"
#include "partition/warmstart/repair.h"

namespace evenkeel {
namespace {

/// Chains are few and alike, so METIS need not be given room.
constexpr double kFoldedBalance = 1.01;

/// Chain of each item [layers, items], and the lift between chains, summed over layers [chains, chains].
struct Chains {
  Grid<std::uint32_t> chain_of_item;
  Grid<double> lift;
};

Chains chain_layers(const Instance& instance) {
  const std::size_t items = instance.items();
  Chains chains{Grid<std::uint32_t>(instance.layers(), items), Grid<double>(items, items)};
  std::iota(chains.chain_of_item.cells().begin(), chains.chain_of_item.cells().end(), 0U);
  std::ranges::for_each(chains.chain_of_item.cells(), [&](auto& chain) { chain %= static_cast<std::uint32_t>(items); });
  for (std::size_t layer = 0; layer + 1 < instance.layers(); ++layer) {
    const Grid<float>* const next = instance.traffic(layer, layer + 1);
    if (next == nullptr) continue;
    const Grid<float> above = lift(*next);
    Grid<double> value(items, items);
    std::ranges::copy(above.cells(), value.cells().begin());
    const auto follower = best_semi_assignment(value, 1);
    for (std::size_t item = 0; item < items; ++item)
      chains.chain_of_item(layer + 1, follower[item]) = chains.chain_of_item(layer, item);
    for (std::size_t i = 0; i < items; ++i) {
      for (std::size_t j = 0; j < items; ++j) {
        const auto from = chains.chain_of_item(layer, i);
        const auto to = chains.chain_of_item(layer + 1, j);
        chains.lift(from, to) += value(i, j);
        chains.lift(to, from) += value(i, j);
      }
    }
  }
  return chains;
}

}  // namespace

std::chrono::duration<double> metis_folded_estimate(const Instance& instance) {
  const auto items = static_cast<double>(instance.items());
  return std::chrono::duration<double>(items * items * (4e-6 + 3e-10 * items * static_cast<double>(instance.layers())));
}

Assignment metis_folded_assignment(const Instance& instance, std::uint64_t seed) {
  const Chains chains = chain_layers(instance);
  const double scale = 1e9 / std::max(1.0, 2.0 * static_cast<double>(instance.round_pairs));
  WeightedGraph graph;
  graph.vertex_weight.assign(instance.items(), 1);
  for (std::size_t chain = 0; chain < instance.items(); ++chain) {
    for (std::size_t other = 0; other < instance.items(); ++other) {
      if (other != chain) add_edge(graph, other, scale * chains.lift(chain, other));
    }
    graph.row_start.push_back(graph.target.size());
  }
  const auto gpu_of_chain = metis_gpus(graph, instance, kFoldedBalance, seed);
  Assignment assignment(instance.layers(), instance.items());
  std::ranges::transform(chains.chain_of_item.cells(), assignment.cells().begin(),
                         [&](std::uint32_t chain) { return gpu_of_chain[chain]; });
  Arrangement arrangement(instance, std::move(assignment));
  repair_slots(arrangement, lpt_assignment(instance));
  return arrangement.assignment();
}

}  // namespace evenkeel
