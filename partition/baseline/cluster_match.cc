#include "partition/baseline/cluster_match.h"

#include <algorithm>

#include "partition/model/semi_assignment.h"

namespace evenkeel {

ClusterMatch match_groups(const Instance& instance, const Grid<float>& traffic, const ClusterGroup& from,
                          const ClusterGroup& to) {
  Grid<double> kept(to.size(), from.size());
  ClusterMatch match;
  for (std::size_t d = 0; d < to.size(); ++d) {
    for (std::size_t c = 0; c < from.size(); ++c) {
      const auto share = static_cast<double>(traffic(from[c], to[d]));
      kept(d, c) = instance.gpu_gain * share;
      match.kept += instance.node_gain * share;
    }
  }
  match.partner = best_semi_assignment(kept, 1);
  for (std::size_t d = 0; d < to.size(); ++d) match.kept += kept(d, match.partner[d]);
  return match;
}

ClusterMatch match_layers(const Instance& instance, const Grid<float>& traffic, const Grouping& from,
                          const Grouping& to) {
  std::vector<std::vector<ClusterMatch>> inside(to.size());
  Grid<double> kept(to.size(), from.size());
  for (std::size_t b = 0; b < to.size(); ++b) {
    for (std::size_t a = 0; a < from.size(); ++a) {
      inside[b].push_back(match_groups(instance, traffic, from[a], to[b]));
      kept(b, a) = inside[b][a].kept;
    }
  }
  const auto node = best_semi_assignment(kept, 1);
  ClusterMatch match{0.0, std::vector<std::size_t>(instance.gpus)};
  for (std::size_t b = 0; b < to.size(); ++b) {
    match.kept += kept(b, node[b]);
    const auto& partner = inside[b][node[b]].partner;
    for (std::size_t d = 0; d < partner.size(); ++d) match.partner[to[b][d]] = from[node[b]][partner[d]];
  }
  return match;
}

Grouping grouping_of(const Instance& clusters, const Assignment& gpu_of_cluster, std::size_t layer) {
  Grouping groups(clusters.nodes);
  for (std::size_t cluster = 0; cluster < clusters.gpus; ++cluster)
    groups[clusters.node_of(gpu_of_cluster(layer, cluster))].push_back(cluster);
  return groups;
}

void follow(const ClusterMatch& match, std::span<const GpuIndex> first, std::span<GpuIndex> second) {
  for (std::size_t cluster = 0; cluster < second.size(); ++cluster) second[cluster] = first[match.partner[cluster]];
}

Grid<float> traffic_between(const Instance& clusters, std::size_t from, std::size_t to) {
  const Grid<float>* const traffic = clusters.traffic(from, to);
  return traffic == nullptr ? Grid<float>(clusters.gpus, clusters.gpus) : *traffic;
}

bool is_chain(const Instance& clusters) {
  for (std::size_t layer = 0; layer < clusters.layers(); ++layer) {
    for (const Neighbour& other : clusters.neighbours[layer]) {
      if (other.layer != layer + 1 && other.layer + 1 != layer) return false;
    }
  }
  return true;
}

}  // namespace evenkeel
