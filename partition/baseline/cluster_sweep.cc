#include "partition/baseline/cluster_sweep.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "partition/baseline/cluster_match.h"
#include "partition/model/arrangement.h"
#include "partition/model/semi_assignment.h"

namespace evenkeel {
namespace {

/// Gains below this are rounding of traffic tables.
constexpr double kGainMin = 1e-6;

/// Takes the best map of one layer, all others as they are, if that lowers communication. Returns whether it does.
bool improve_layer(Arrangement& arrangement, std::size_t layer) {
  const std::size_t gpus = arrangement.instance().gpus;
  const auto row = arrangement.assignment()[layer];
  const std::vector<GpuIndex> old(row.begin(), row.end());
  Grid<double> affinity(gpus, gpus);
  for (std::size_t cluster = 0; cluster < gpus; ++cluster) {
    for (std::size_t gpu = 0; gpu < gpus; ++gpu) affinity(cluster, gpu) = arrangement.affinity(layer, cluster, gpu);
  }
  const auto best = best_semi_assignment(affinity, 1);
  double gain = 0;
  for (std::size_t cluster = 0; cluster < gpus; ++cluster)
    gain += affinity(cluster, best[cluster]) - affinity(cluster, old[cluster]);
  if (gain < kGainMin) return false;
  // With several rounds over one layer its own traffic is quadratic, and the linear gain may not hold.
  const bool is_linear = !arrangement.instance().has_own_traffic(layer);
  const double before = is_linear ? 0.0 : arrangement.communication();
  arrangement.assign_layer(layer, std::vector<GpuIndex>(best.begin(), best.end()));
  if (is_linear || arrangement.communication() < before - kGainMin) return true;
  arrangement.assign_layer(layer, old);
  return false;
}

/// Goes forward and backward over the layers until none improves.
Assignment swept_layers(const Instance& clusters, Assignment map, Budget& budget) {
  Arrangement arrangement(clusters, std::move(map));
  std::vector<bool> is_settled(clusters.layers(), false);
  bool is_forward = true;
  while (std::ranges::find(is_settled, false) != is_settled.end() && !budget.exhausted()) {
    for (std::size_t step = 0; step < clusters.layers(); ++step) {
      const std::size_t layer = is_forward ? step : clusters.layers() - 1 - step;
      if (is_settled[layer]) continue;
      is_settled[layer] = true;
      budget.spend(clusters.gpus * clusters.gpus);
      if (!improve_layer(arrangement, layer)) continue;
      for (const Neighbour& other : clusters.neighbours[layer]) is_settled[other.layer] = false;
    }
    is_forward = !is_forward;
  }
  return arrangement.assignment();
}

/// Keeps what shares a node and settles every boundary anew, front to back.
Assignment settled_boundaries(const Instance& clusters, const Assignment& map) {
  Assignment result = map;
  for (std::size_t layer = 1; layer < clusters.layers(); ++layer) {
    const ClusterMatch match =
        match_layers(clusters, traffic_between(clusters, layer - 1, layer), grouping_of(clusters, result, layer - 1),
                     grouping_of(clusters, result, layer));
    follow(match, result[layer - 1], result[layer]);
  }
  return result;
}

}  // namespace

Assignment forward_map(const Instance& clusters) {
  Assignment map(clusters.layers(), clusters.gpus);
  for (std::size_t layer = 0; layer < clusters.layers(); ++layer) {
    Grid<double> kept(clusters.gpus, clusters.gpus);
    for (const Neighbour& other : clusters.neighbours[layer]) {
      if (other.layer >= layer) continue;
      for (std::size_t c = 0; c < clusters.gpus; ++c) {
        for (std::size_t d = 0; d < clusters.gpus; ++d) {
          const auto share = static_cast<double>(other.traffic(c, d));
          const std::size_t home = map(other.layer, d);
          kept(c, home) += clusters.gpu_gain * share;
          const std::size_t node = clusters.node_of(home) * clusters.gpus_per_node();
          for (std::size_t gpu = node; gpu < node + clusters.gpus_per_node(); ++gpu)
            kept(c, gpu) += clusters.node_gain * share;
        }
      }
    }
    const auto best = best_semi_assignment(kept, 1);
    for (std::size_t c = 0; c < clusters.gpus; ++c) map(layer, c) = static_cast<GpuIndex>(best[c]);
  }
  return map;
}

Assignment swept_map(const Instance& clusters, Assignment map, Budget& budget) {
  map = swept_layers(clusters, std::move(map), budget);
  while (is_chain(clusters) && !budget.exhausted()) {
    Assignment settled = settled_boundaries(clusters, map);
    if (communication(clusters, settled) >= communication(clusters, map) - kGainMin) break;
    map = swept_layers(clusters, std::move(settled), budget);
  }
  return map;
}

}  // namespace evenkeel
