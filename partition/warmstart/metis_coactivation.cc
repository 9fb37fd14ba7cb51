#include "partition/warmstart/metis_coactivation.h"

#include <algorithm>

#include "partition/model/arrangement.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_tiers.h"
#include "partition/warmstart/repair.h"

namespace evenkeel {
namespace {

constexpr double kBalance = 1.01;

/// Tokens that chose both of two items [items, items].
Grid<double> coactivations(const TokenSets& sets, std::size_t items) {
  Grid<double> tokens(items, items);
  for (std::size_t index = 0; index < sets.size(); ++index) {
    const auto set = sets.set(index);
    for (const ExpertIndex a : set) {
      for (const ExpertIndex b : set) {
        if (a != kNoItem && b != kNoItem) tokens(a, b) += sets.tokens[index];
      }
    }
  }
  return tokens;
}

}  // namespace

std::chrono::duration<double> metis_coactivation_estimate(const Instance& instance) {
  const auto pairs = static_cast<double>(instance.layers() * instance.items() * instance.items());
  return std::chrono::duration<double>(8e-7 * pairs);
}

Assignment metis_coactivation_assignment(const Instance& instance, std::uint64_t seed) {
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const Grid<double> tokens = coactivations(instance.token_sets[layer], instance.items());
    double total = 1;
    for (const double pair : tokens.cells()) total += pair;
    WeightedGraph graph;
    graph.vertex_weight.assign(instance.items(), 1);
    for (std::size_t item = 0; item < instance.items(); ++item) {
      for (std::size_t other = 0; other < instance.items(); ++other) {
        if (other != item) add_edge(graph, other, 1e9 / total * tokens(item, other));
      }
      graph.row_start.push_back(graph.target.size());
    }
    std::ranges::copy(metis_gpus(graph, instance, kBalance, seed), assignment[layer].begin());
  }
  Arrangement arrangement(instance, std::move(assignment));
  repair_slots(arrangement, lpt_assignment(instance));
  return arrangement.assignment();
}

}  // namespace evenkeel
