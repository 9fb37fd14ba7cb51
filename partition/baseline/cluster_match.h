#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "partition/model/instance.h"

namespace evenkeel {

/// Clusters of a layer that share a node.
using ClusterGroup = std::vector<std::size_t>;
/// Clusters of a layer by node, without saying which node.
using Grouping = std::vector<ClusterGroup>;

/// How two layers' clusters best lie on each other.
struct ClusterMatch {
  /// Traffic, weighed as in the objective, that stays on GPUs and nodes.
  double kept = 0;
  /// Row of each column: the cluster of the first layer whose GPU the second's takes.
  std::vector<std::size_t> partner;
};

/// The best match of two groups put on one node: an assignment problem on GPUs. `traffic` [clusters, clusters] of the
/// two layers; partners are positions in `from`, of each cluster of `to`.
[[nodiscard]] ClusterMatch match_groups(const Instance& instance, const Grid<float>& traffic, const ClusterGroup& from,
                                        const ClusterGroup& to);

/// The best match of two layers whose groupings are given, exact: match_groups() of every pair of groups, and an
/// assignment problem on nodes over what they keep. Partners are clusters, of each cluster of the second layer.
[[nodiscard]] ClusterMatch match_layers(const Instance& instance, const Grid<float>& traffic, const Grouping& from,
                                        const Grouping& to);

/// Groups of a layer's clusters by the node they are mapped to.
[[nodiscard]] Grouping grouping_of(const Instance& clusters, const Assignment& gpu_of_cluster, std::size_t layer);

/// The GPU of each cluster of the second layer, where the first's are given [clusters].
void follow(const ClusterMatch& match, std::span<const GpuIndex> first, std::span<GpuIndex> second);

/// Traffic between two layers [clusters, clusters]; zeros where they exchange none.
[[nodiscard]] Grid<float> traffic_between(const Instance& clusters, std::size_t from, std::size_t to);

/// Whether every layer exchanges tokens with the layers right before and after it alone.
[[nodiscard]] bool is_chain(const Instance& clusters);

}  // namespace evenkeel
