#include "partition/migrate/edge_colouring.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "partition/foundation/grid.h"

namespace evenkeel {
namespace {

constexpr std::uint32_t kNoEdge = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kLeft = 0;
constexpr std::size_t kRight = 1;

std::size_t largest_degree(std::span<const BipartiteEdge> edges, std::size_t vertices) {
  std::vector<std::size_t> left(vertices), right(vertices);
  std::size_t largest = 0;
  for (const BipartiteEdge& edge : edges) largest = std::max({largest, ++left[edge.left], ++right[edge.right]});
  return largest;
}

class Colouring {
 public:
  Colouring(std::span<const BipartiteEdge> edges, std::size_t vertices)
      : edges_(edges), colour_(edges.size()), edge_at_{empty_table(vertices), empty_table(vertices)} {}

  void add(std::uint32_t edge) {
    if (const auto colour = free_at_both(edges_[edge])) return set(edge, *colour);
    const std::uint32_t free_left = free_colour(kLeft, edges_[edge].left);
    const std::uint32_t free_right = free_colour(kRight, edges_[edge].right);
    // The path never ends at the left vertex: it enters left vertices by free_left, which is free there.
    swap_colours(edges_[edge].right, free_left, free_right);
    set(edge, free_left);
  }
  [[nodiscard]] std::vector<std::uint32_t> take() { return std::move(colour_); }

 private:
  Grid<std::uint32_t> empty_table(std::size_t vertices) const {
    return {vertices, largest_degree(edges_, vertices), kNoEdge};
  }
  std::uint32_t end(std::uint32_t edge, std::size_t side) const {
    return side == kLeft ? edges_[edge].left : edges_[edge].right;
  }

  std::optional<std::uint32_t> free_at_both(const BipartiteEdge& edge) const {
    const auto left = edge_at_[kLeft][edge.left];
    const auto right = edge_at_[kRight][edge.right];
    for (std::uint32_t colour = 0; colour < left.size(); ++colour) {
      if (left[colour] == kNoEdge && right[colour] == kNoEdge) return colour;
    }
    return std::nullopt;
  }
  std::uint32_t free_colour(std::size_t side, std::uint32_t vertex) const {
    const auto edges = edge_at_[side][vertex];
    return static_cast<std::uint32_t>(std::ranges::find(edges, kNoEdge) - edges.begin());
  }

  void set(std::uint32_t edge, std::uint32_t colour) {
    colour_[edge] = colour;
    for (const std::size_t side : {kLeft, kRight}) edge_at_[side](end(edge, side), colour) = edge;
  }

  /// Swaps two colours on the alternating path that starts at a right vertex with `first`.
  void swap_colours(std::uint32_t vertex, std::uint32_t first, std::uint32_t second) {
    std::vector<std::uint32_t> path;
    std::size_t side = kRight;
    std::uint32_t colour = first;
    while (edge_at_[side](vertex, colour) != kNoEdge) {
      path.push_back(edge_at_[side](vertex, colour));
      side = 1 - side;
      vertex = end(path.back(), side);
      colour = first + second - colour;
    }
    for (const std::uint32_t edge : path) {
      for (const std::size_t at : {kLeft, kRight}) edge_at_[at](end(edge, at), colour_[edge]) = kNoEdge;
    }
    for (const std::uint32_t edge : path) set(edge, first + second - colour_[edge]);
  }

  std::span<const BipartiteEdge> edges_;
  std::vector<std::uint32_t> colour_;
  /// For each side, the edge of each colour at each vertex [vertices, colours].
  std::array<Grid<std::uint32_t>, 2> edge_at_;
};

}  // namespace

std::vector<std::uint32_t> edge_colours(std::span<const BipartiteEdge> edges, std::size_t vertices) {
  Colouring colouring(edges, vertices);
  for (std::uint32_t edge = 0; edge < edges.size(); ++edge) colouring.add(edge);
  return colouring.take();
}

}  // namespace evenkeel
