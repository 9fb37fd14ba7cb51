#include "partition/baseline/cluster_instance.h"

#include <numeric>

namespace evenkeel {
namespace {

/// Adds up in double what the items of clusters exchange.
Grid<float> cluster_traffic(const Instance& instance, const Assignment& cluster_of_item, std::size_t layer,
                            const Neighbour& other) {
  Grid<double> sum(instance.gpus, instance.gpus);
  for (std::size_t i = 0; i < instance.items(); ++i) {
    const std::size_t cluster = cluster_of_item(layer, i);
    const auto traffic = other.traffic[i];
    for (std::size_t j = 0; j < instance.items(); ++j) {
      const std::size_t other_cluster = cluster_of_item(other.layer, j);
      // A layer's own traffic is stored from both ends, which inside a cluster is counted once.
      if (other.layer == layer && other_cluster == cluster && j < i) continue;
      sum(cluster, other_cluster) += static_cast<double>(traffic[j]);
    }
  }
  Grid<float> result(instance.gpus, instance.gpus);
  for (std::size_t cell = 0; cell < sum.cells().size(); ++cell)
    result.cells()[cell] = static_cast<float>(sum.cells()[cell]);
  return result;
}

}  // namespace

Instance cluster_instance(const Instance& instance, const Assignment& cluster_of_item) {
  Instance clusters;
  clusters.gpus = instance.gpus;
  clusters.nodes = instance.nodes;
  clusters.experts = instance.gpus;
  clusters.layer_ids = instance.layer_ids;
  clusters.expert_of_item = Grid<ExpertIndex>(instance.layers(), instance.gpus);
  clusters.load_units = Grid<std::int64_t>(instance.layers(), instance.gpus);
  clusters.neighbours.resize(instance.layers());
  clusters.round_pairs = instance.round_pairs;
  clusters.objective = instance.objective;
  clusters.gpu_gain = instance.gpu_gain;
  clusters.node_gain = instance.node_gain;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const auto names = clusters.expert_of_item[layer];
    std::iota(names.begin(), names.end(), ExpertIndex{0});
    for (std::size_t item = 0; item < instance.items(); ++item)
      clusters.load_units(layer, cluster_of_item(layer, item)) += instance.load_units(layer, item);
    for (const Neighbour& other : instance.neighbours[layer]) {
      clusters.neighbours[layer].push_back({other.layer, cluster_traffic(instance, cluster_of_item, layer, other)});
    }
  }
  return clusters;
}

Assignment mapped(const Assignment& cluster_of_item, const Assignment& gpu_of_cluster) {
  Assignment assignment = cluster_of_item;
  for (std::size_t layer = 0; layer < assignment.rows(); ++layer) {
    for (GpuIndex& place : assignment[layer]) place = gpu_of_cluster(layer, place);
  }
  return assignment;
}

}  // namespace evenkeel
