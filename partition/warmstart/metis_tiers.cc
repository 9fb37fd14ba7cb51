#include "partition/warmstart/metis_tiers.h"

namespace evenkeel {
namespace {

/// The graph of some of the vertices, in their order, and the edges between them.
WeightedGraph induced(const WeightedGraph& graph, const std::vector<std::size_t>& members) {
  std::vector<std::int64_t> position(graph.vertices(), -1);
  for (std::size_t i = 0; i < members.size(); ++i) position[members[i]] = static_cast<std::int64_t>(i);
  WeightedGraph result;
  result.constraints = graph.constraints;
  for (const std::size_t vertex : members) {
    for (std::size_t c = 0; c < graph.constraints; ++c)
      result.vertex_weight.push_back(graph.vertex_weight[vertex * graph.constraints + c]);
    for (std::size_t edge = graph.row_start[vertex]; edge < graph.row_start[vertex + 1]; ++edge) {
      if (position[graph.target[edge]] < 0) continue;
      result.target.push_back(static_cast<std::uint32_t>(position[graph.target[edge]]));
      result.edge_weight.push_back(graph.edge_weight[edge]);
    }
    result.row_start.push_back(result.target.size());
  }
  return result;
}

std::vector<std::uint32_t> parts_of(const WeightedGraph& graph, std::size_t parts, double balance, std::uint64_t seed) {
  if (parts == 1) return std::vector<std::uint32_t>(graph.vertices(), 0);
  return metis_partition(graph, parts, balance, seed);
}

}  // namespace

std::vector<GpuIndex> metis_gpus(const WeightedGraph& graph, const Instance& instance, double balance,
                                 std::uint64_t seed) {
  const auto node_of_vertex = parts_of(graph, instance.nodes, balance, seed);
  std::vector<GpuIndex> gpu_of_vertex(graph.vertices());
  for (std::size_t node = 0; node < instance.nodes; ++node) {
    std::vector<std::size_t> members;
    for (std::size_t vertex = 0; vertex < graph.vertices(); ++vertex) {
      if (node_of_vertex[vertex] == node) members.push_back(vertex);
    }
    const auto gpu_in_node = parts_of(induced(graph, members), instance.gpus_per_node(), balance, seed);
    for (std::size_t i = 0; i < members.size(); ++i)
      gpu_of_vertex[members[i]] = static_cast<GpuIndex>(node * instance.gpus_per_node() + gpu_in_node[i]);
  }
  return gpu_of_vertex;
}

void add_edge(WeightedGraph& graph, std::size_t target, double weight) {
  if (weight < 1) return;
  graph.target.push_back(static_cast<std::uint32_t>(target));
  graph.edge_weight.push_back(static_cast<std::uint32_t>(weight));
}

}  // namespace evenkeel
