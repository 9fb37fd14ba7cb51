#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Upper bounds, one a count of groups [counts], of the traffic(i, j) that stays inside groups, over all ways to split
/// the items of two layers evenly into so many groups each.
///
/// With x and y the indicators [items, groups] of a split, Y = x y^T has rows and columns that sum to S = items /
/// groups, entries in [0, 1] and, rows and columns centred, groups - 1 singular values, all of them S. So the least of
/// these bounds it:
///   all traffic;
///   the S largest entries of each row (or of each column), added up;
///   S x all traffic / items + S x the groups - 1 largest singular values of the centred traffic (von Neumann);
///   the last for any matrix M in place of the traffic, plus the sum of max(0, traffic - M). `iterations` of the
///   alternating direction method of multipliers look for a good M; 10 close most of what can be closed, 30 all.
///
/// `traffic` is [items, items], not negative, and counts divide the items. Pure, thread-safe, deterministic. Time for
/// 64, 128, 256 items on one 2020s server core: 0.4, 2, 8 ms, and for each count and iteration 0.4, 3, 15 ms.
[[nodiscard]] std::vector<double> kept_traffic_bounds(const Grid<float>& traffic,
                                                      std::span<const std::size_t> group_counts,
                                                      std::size_t iterations);

/// As above, for the traffic of a layer with itself (several rounds), which is stored in both directions: unordered
/// pairs of items count once, and an item always stays with itself.
[[nodiscard]] std::vector<double> kept_own_traffic_bounds(const Grid<float>& traffic,
                                                          std::span<const std::size_t> group_counts,
                                                          std::size_t iterations);

/// Lower bound of communication(instance, x) over all assignments x whatever their loads: what each pair of layers
/// would cost if it kept as much on GPUs and on nodes as the bounds above allow; at least zero. Resident communication,
/// with replicas too (two copies of an expert may share a GPU here); zero for dispatch. Pure, thread-safe,
/// deterministic. Takes the time of the bounds above for each pair of neighbouring layers, with two counts of groups
/// where there are several nodes of several GPUs.
[[nodiscard]] double communication_bound(const Instance& instance, std::size_t iterations);

}  // namespace evenkeel
