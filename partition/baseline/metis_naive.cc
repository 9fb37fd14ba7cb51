#include "partition/baseline/metis_naive.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "partition/libraries/metis_adapter.h"
#include "partition/model/arrangement.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/repair.h"

namespace evenkeel {
namespace {

/// METIS's own default for k-way partitions (ufactor 30).
constexpr double kBalance = 1.03;
/// What weights add up to at most, inside METIS's 32-bit index.
constexpr double kWeightSum = 1e9;

/// At least 1 each, so that a graph without loads has weights to balance.
std::vector<std::uint32_t> vertex_weights(const Instance& instance) {
  const auto loads = instance.load_units.cells();
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  std::vector<std::uint32_t> weights;
  for (const std::int64_t load : loads) {
    const double share = total > 0 ? static_cast<double>(load) / total : 0.0;
    weights.push_back(std::max<std::uint32_t>(1, static_cast<std::uint32_t>(share * kWeightSum)));
  }
  return weights;
}

/// Vertex layer * items + item; traffic below the resolution of the weights has no edge.
WeightedGraph traffic_graph(const Instance& instance) {
  WeightedGraph graph;
  graph.vertex_weight = vertex_weights(instance);
  // Shares of each round pair add up to 1 from either end.
  const double scale =
      std::min(1e7, kWeightSum / (2.0 * static_cast<double>(std::max<std::size_t>(1, instance.round_pairs))));
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::size_t i = 0; i < instance.items(); ++i) {
      for (const Neighbour& other : instance.neighbours[layer]) {
        for (std::size_t j = 0; j < instance.items(); ++j) {
          const auto weight = static_cast<std::uint32_t>(static_cast<double>(other.traffic(i, j)) * scale);
          if (weight == 0 || (other.layer == layer && i == j)) continue;
          graph.target.push_back(static_cast<std::uint32_t>(other.layer * instance.items() + j));
          graph.edge_weight.push_back(weight);
        }
      }
      graph.row_start.push_back(graph.target.size());
    }
  }
  return graph;
}

}  // namespace

Assignment metis_naive_assignment(const Instance& instance, std::uint64_t seed) {
  Assignment assignment(instance.layers(), instance.items());
  if (instance.gpus == 1) return assignment;
  const auto part = metis_partition(traffic_graph(instance), instance.gpus, kBalance, seed);
  std::ranges::transform(part, assignment.cells().begin(),
                         [](std::uint32_t gpu) { return static_cast<GpuIndex>(gpu); });
  Arrangement arrangement(instance, std::move(assignment));
  repair_slots(arrangement, lpt_assignment(instance));
  return arrangement.assignment();
}

std::chrono::duration<double> metis_naive_estimate(const Instance& instance) {
  std::size_t tables = 0;
  for (const auto& list : instance.neighbours) tables += list.size();
  const double edges = static_cast<double>(tables * instance.items() * instance.items()) / 2;
  return std::chrono::duration<double>(5e-7 * edges);
}

}  // namespace evenkeel
