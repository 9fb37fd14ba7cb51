#include "partition/warmstart/metis_layered.h"

#include <algorithm>
#include <numeric>

#include "partition/model/arrangement.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_adapter.h"
#include "partition/warmstart/repair.h"

namespace evenkeel {
namespace {

/// ubvec of METIS that leaves it room and overfills next to nothing (1.03 to 1.05 measured).
constexpr double kBalance = 1.05;

/// A vertex of the graph: an item of a layer.
struct Vertex {
  std::size_t layer;
  std::size_t item;
};

/// Traffic above what independent choices would give, the part a placement can win: max(0, R - P P').
class LiftGraph {
 public:
  explicit LiftGraph(const Instance& instance) : instance_(instance) {
    for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
      for (const Neighbour& other : instance.neighbours[layer]) marginals_.push_back(marginals(other));
    }
    // Keeps sums of all weights inside METIS's 32-bit index.
    scale_ = std::min(1e7, 1e9 / static_cast<double>(std::max<std::size_t>(1, instance.round_pairs)));
  }

  /// The graph of the given vertices; `position` [layers][items] is a vertex's number, or -1.
  [[nodiscard]] WeightedGraph induced(const std::vector<Vertex>& vertices, const Grid<std::int32_t>& position) const {
    WeightedGraph graph;
    graph.constraints = instance_.layers();
    graph.vertex_weight.assign(vertices.size() * instance_.layers(), 0);
    for (std::size_t v = 0; v < vertices.size(); ++v) {
      const auto [layer, item] = vertices[v];
      graph.vertex_weight[v * instance_.layers() + layer] = 1;
      std::size_t table = first_table(layer);
      for (const Neighbour& other : instance_.neighbours[layer])
        add_edges(vertices[v], other, marginals_[table++], position, graph);
      graph.row_start.push_back(graph.target.size());
    }
    return graph;
  }

 private:
  struct Marginals {
    std::vector<double> here;
    std::vector<double> there;
    double total = 0;
  };

  static Marginals marginals(const Neighbour& other) {
    Marginals result{std::vector<double>(other.traffic.rows(), 0.0), std::vector<double>(other.traffic.cols(), 0.0)};
    for (std::size_t i = 0; i < other.traffic.rows(); ++i) {
      for (std::size_t j = 0; j < other.traffic.cols(); ++j) {
        result.here[i] += static_cast<double>(other.traffic(i, j));
        result.there[j] += static_cast<double>(other.traffic(i, j));
      }
    }
    result.total = std::accumulate(result.here.begin(), result.here.end(), 0.0);
    return result;
  }

  [[nodiscard]] std::size_t first_table(std::size_t layer) const {
    std::size_t table = 0;
    for (std::size_t before = 0; before < layer; ++before) table += instance_.neighbours[before].size();
    return table;
  }

  void add_edges(const Vertex& vertex, const Neighbour& other, const Marginals& marginals,
                 const Grid<std::int32_t>& position, WeightedGraph& graph) const {
    for (std::size_t j = 0; j < other.traffic.cols(); ++j) {
      if (position(other.layer, j) < 0 || (other.layer == vertex.layer && j == vertex.item)) continue;
      const double expected = marginals.here[vertex.item] * marginals.there[j] / marginals.total;
      const double lift = static_cast<double>(other.traffic(vertex.item, j)) - expected;
      const auto weight = static_cast<std::int64_t>(lift * scale_);
      if (weight < 1) continue;
      graph.target.push_back(static_cast<std::uint32_t>(position(other.layer, j)));
      graph.edge_weight.push_back(static_cast<std::uint32_t>(weight));
    }
  }

  const Instance& instance_;
  /// One for each neighbour of each layer, in order.
  std::vector<Marginals> marginals_;
  double scale_;
};

std::vector<std::uint32_t> partition_vertices(const Instance& instance, const LiftGraph& lift,
                                              const std::vector<Vertex>& vertices, std::size_t parts,
                                              std::uint64_t seed) {
  if (parts == 1) return std::vector<std::uint32_t>(vertices.size(), 0);
  Grid<std::int32_t> position(instance.layers(), instance.items(), -1);
  for (std::size_t v = 0; v < vertices.size(); ++v)
    position(vertices[v].layer, vertices[v].item) = static_cast<std::int32_t>(v);
  return metis_partition(lift.induced(vertices, position), parts, kBalance, seed);
}

}  // namespace

Assignment metis_layered_assignment(const Instance& instance, std::uint64_t seed) {
  const LiftGraph lift(instance);
  std::vector<Vertex> all;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::size_t item = 0; item < instance.items(); ++item) all.push_back({layer, item});
  }
  const auto node_of_vertex = partition_vertices(instance, lift, all, instance.nodes, seed);
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t node = 0; node < instance.nodes; ++node) {
    std::vector<Vertex> members;
    for (std::size_t v = 0; v < all.size(); ++v) {
      if (node_of_vertex[v] == node) members.push_back(all[v]);
    }
    const auto gpu_in_node = partition_vertices(instance, lift, members, instance.gpus_per_node(), seed);
    for (std::size_t v = 0; v < members.size(); ++v) {
      assignment(members[v].layer, members[v].item) =
          static_cast<GpuIndex>(node * instance.gpus_per_node() + gpu_in_node[v]);
    }
  }
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
