#include "partition/baseline/moetuner_strong.h"

#include <utility>

#include "partition/baseline/cluster_instance.h"
#include "partition/baseline/cluster_sweep.h"
#include "partition/baseline/exflow.h"
#include "partition/baseline/grouping_chain.h"

namespace evenkeel {
namespace {

/// Gains below this are rounding of traffic tables.
constexpr double kMapGainMin = 1e-6;

/// Cluster c on GPU c in every layer: where `balanced` has them.
Assignment as_given(const Instance& clusters) {
  Assignment map(clusters.layers(), clusters.gpus);
  for (std::size_t layer = 0; layer < clusters.layers(); ++layer) {
    for (std::size_t cluster = 0; cluster < clusters.gpus; ++cluster)
      map(layer, cluster) = static_cast<GpuIndex>(cluster);
  }
  return map;
}

/// The best of what the starts lead to.
Assignment best_swept_map(const Instance& clusters, Budget& budget) {
  Assignment best = swept_map(clusters, forward_map(clusters), budget);
  for (Assignment start : {exflow_assignment(clusters, budget), as_given(clusters)}) {
    Assignment other = swept_map(clusters, std::move(start), budget);
    if (communication(clusters, other) < communication(clusters, best)) best = std::move(other);
  }
  return best;
}

/// Starts anew from the best map so far until that brings nothing: what starts put in the first layer follows from the
/// names of its clusters, which are then the GPUs found.
Assignment search(Instance clusters, Budget& budget) {
  Assignment map = as_given(clusters);
  do {
    const Assignment next = best_swept_map(clusters, budget);
    if (communication(clusters, next) >= communication(clusters, as_given(clusters)) - kMapGainMin) break;
    map = mapped(map, next);
    clusters = cluster_instance(clusters, next);
  } while (!budget.exhausted());
  return map;
}

}  // namespace

Assignment moetuner_strong_assignment(const Instance& instance, const Assignment& balanced, Budget& budget) {
  if (!instance.has_traffic() || instance.gpus == 1 || budget.exhausted()) return balanced;
  Instance clusters = cluster_instance(instance, balanced);
  const auto exact = best_chain_map(clusters, budget);
  Assignment result = mapped(balanced, exact ? *exact : search(std::move(clusters), budget));
  return communication(instance, result) <= communication(instance, balanced) ? result : balanced;
}

}  // namespace evenkeel
