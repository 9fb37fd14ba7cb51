#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace evenkeel {

/// An edge from a vertex of the left side to one of the right side; both sides are numbered from 0.
struct BipartiteEdge {
  std::uint32_t left;
  std::uint32_t right;
};

/// A colour for each edge, such that edges with an end in common differ: as many colours, from 0, as the largest number
/// of edges at one vertex (König 1916). Parallel edges are welcome. An edge takes the lowest colour free at both ends
/// if there is one, so earlier edges tend to have lower colours; else an alternating path makes room.
///
/// Boost.Graph's edge_coloring is no help: it is Misra and Gries' form of Vizing's theorem, for simple graphs, and may
/// use one colour more.
///
/// Pure. `vertices` is the number of vertices of either side. Cost: edges x (vertices + colours) at worst.
[[nodiscard]] std::vector<std::uint32_t> edge_colours(std::span<const BipartiteEdge> edges, std::size_t vertices);

}  // namespace evenkeel
