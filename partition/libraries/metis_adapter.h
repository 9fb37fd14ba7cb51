#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace evenkeel {

/// An undirected graph in compressed rows, each edge stored from both ends.
struct WeightedGraph {
  std::vector<std::size_t> row_start{0};
  std::vector<std::uint32_t> target;
  /// At least 1 each.
  std::vector<std::uint32_t> edge_weight;
  /// Balance constraints a vertex.
  std::size_t constraints = 1;
  /// [vertices, constraints]
  std::vector<std::uint32_t> vertex_weight;

  [[nodiscard]] std::size_t vertices() const { return row_start.size() - 1; }
};

/// Cuts a graph into `parts` of equal weight in every constraint, up to `balance` (1.05: 5 % above). Returns the part
/// of each vertex [vertices]; METIS may miss the balance, callers repair. Graphs without edges or with next to no
/// vertices a part are dealt out in turn. Calls run one at a time in the whole process, because METIS 5.1 draws from
/// the C library's generator; equal arguments give equal results.
[[nodiscard]] std::vector<std::uint32_t> metis_partition(const WeightedGraph& graph, std::size_t parts, double balance,
                                                         std::uint64_t seed);

}  // namespace evenkeel
