#include "partition/warmstart/metis_layered.h"

#include <algorithm>

#include "partition/model/arrangement.h"
#include "partition/warmstart/lift.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_tiers.h"
#include "partition/warmstart/repair.h"

namespace evenkeel {
namespace {

/// ubvec of METIS that leaves it room and overfills next to nothing (1.03 to 1.05 measured).
constexpr double kLayeredBalance = 1.05;

/// Vertex layer x items + item for every item of every layer, a balance constraint a layer, edges weighed by lift.
WeightedGraph layered_graph(const Instance& instance) {
  // Keeps sums of all weights inside METIS's 32-bit index.
  const double scale = std::min(1e7, 1e9 / static_cast<double>(std::max<std::size_t>(1, instance.round_pairs)));
  const std::size_t items = instance.items();
  WeightedGraph graph;
  graph.constraints = instance.layers();
  graph.vertex_weight.assign(instance.layers() * items * instance.layers(), 0);
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    std::vector<Grid<float>> lifts;
    for (const Neighbour& other : instance.neighbours[layer]) lifts.push_back(lift(other.traffic));
    for (std::size_t item = 0; item < items; ++item) {
      graph.vertex_weight[(layer * items + item) * instance.layers() + layer] = 1;
      for (std::size_t n = 0; n < lifts.size(); ++n) {
        const std::size_t other = instance.neighbours[layer][n].layer;
        for (std::size_t j = 0; j < items; ++j) {
          if (other == layer && j == item) continue;
          add_edge(graph, other * items + j, scale * static_cast<double>(lifts[n](item, j)));
        }
      }
      graph.row_start.push_back(graph.target.size());
    }
  }
  return graph;
}

}  // namespace

Assignment metis_layered_assignment(const Instance& instance, std::uint64_t seed) {
  const auto gpu_of_vertex = metis_gpus(layered_graph(instance), instance, kLayeredBalance, seed);
  Assignment assignment(instance.layers(), instance.items());
  std::ranges::copy(gpu_of_vertex, assignment.cells().begin());
  Arrangement arrangement(instance, std::move(assignment));
  repair_slots(arrangement, lpt_assignment(instance));
  return arrangement.assignment();
}

std::chrono::duration<double> metis_layered_estimate(const Instance& instance) {
  std::size_t tables = 0;
  for (const auto& list : instance.neighbours) tables += list.size();
  const double edges = static_cast<double>(tables * instance.items() * instance.items()) / 2;
  return std::chrono::duration<double>(4e-6 * edges);
}

}  // namespace evenkeel
