#include "partition/baseline/moetuner.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "partition/baseline/cluster_instance.h"
#include "partition/baseline/moetuner_clusters.h"
#include "partition/baseline/moetuner_map.h"

namespace evenkeel {
namespace {

/// Columns of a program beyond which GLPK's first relaxation takes minutes. The second program's took 5.5 s at 14,464
/// (26 layers, 8 GPUs on one node), 25 s at 17,664 (the same on two), 45 s at 32,896 (58 layers, one node); one layer
/// of the first 0.01 s at 1,028, 2.3 s at 8,224 (256 experts on 4 and on 32 GPUs).
constexpr double kColumnsMax = 40'000;
/// What a relaxation takes at least for each column squared, by those figures.
constexpr std::chrono::duration<double> kTimePerColumnSquared{1e-8};
/// The first program's share of the budget. It seldom ends by itself: where loads can be levelled out its bound is 0,
/// which no relative gap reaches, while the second hangs on whether its first relaxation ends.
constexpr double kClusterShare = 0.25;
/// How much more a layer gets that ended without a solution.
constexpr double kRetryFactor = 4.0;
/// What a node of branch and bound counts as in work units (swap proposals of equal time).
constexpr std::uint64_t kNodeUnits = 20'000;

/// A share of what the budget has left.
ProgramLimit limit_of(const Budget& budget, double share, double gap_ratio) {
  if (budget.is_wall()) return {gap_ratio, budget.remaining() * share, std::nullopt};
  const double nodes = static_cast<double>(budget.remaining_units() / kNodeUnits) * share;
  return {gap_ratio, std::nullopt, static_cast<std::uint64_t>(nodes)};
}

bool has_map_program(const Instance& instance) { return instance.has_traffic() && instance.gpus > 1; }

/// Whether that many programs of a size may end in time.
bool may_end(double programs, double columns, const Budget& budget) {
  if (columns > kColumnsMax) return false;
  return !budget.is_wall() || programs * columns * columns * kTimePerColumnSquared <= budget.remaining();
}

/// A program that cannot end is not begun, nor the other for its sake.
bool may_end(const Instance& instance, const Budget& budget) {
  const auto cluster_columns = static_cast<double>((instance.items() + 1) * instance.gpus);
  if (!may_end(static_cast<double>(instance.layers()), cluster_columns, budget)) return false;
  return !has_map_program(instance) || may_end(1.0, moetuner_map_columns(instance), budget);
}

/// Begun again with more where the share of the budget brings no solution at all; empty once there is none left.
LayerClusters clusters_of_layer(const Instance& instance, std::size_t layer, Budget& budget, double share,
                                double gap_ratio) {
  while (!budget.exhausted()) {
    LayerClusters clusters = moetuner_clusters(instance, layer, limit_of(budget, std::min(share, 1.0), gap_ratio));
    budget.spend(clusters.nodes * kNodeUnits);
    if (!clusters.cluster_of_item.empty() || share >= 1.0) return clusters;
    share *= kRetryFactor;
  }
  return {};
}

/// The first program, layer by layer; its `assignment` is the cluster of each item.
MoetunerResult clusters_of_layers(const Instance& instance, Budget& budget, double gap_ratio) {
  Assignment cluster_of_item(instance.layers(), instance.items());
  bool finished = true;
  const double total_share = has_map_program(instance) ? kClusterShare : 1.0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    // Of what is left, when the layers before have taken their shares.
    const double share = 1.0 / (static_cast<double>(instance.layers()) / total_share - static_cast<double>(layer));
    const LayerClusters clusters = clusters_of_layer(instance, layer, budget, share, gap_ratio);
    if (clusters.cluster_of_item.empty()) return {};
    std::ranges::copy(clusters.cluster_of_item, cluster_of_item[layer].begin());
    finished = finished && clusters.finished;
  }
  return {std::move(cluster_of_item), finished};
}

}  // namespace

MoetunerResult moetuner_assignment(const Instance& instance, Budget& budget, const MoetunerOptions& options) {
  if (!may_end(instance, budget)) return {};
  MoetunerResult result = clusters_of_layers(instance, budget, options.gap_ratio);
  if (!result.assignment || !has_map_program(instance)) return result;
  if (budget.exhausted()) return {};
  const Instance clusters = cluster_instance(instance, *result.assignment);
  const MapSolution map = moetuner_map(clusters, limit_of(budget, 1.0, options.gap_ratio));
  budget.spend(map.nodes * kNodeUnits);
  if (!map.gpu_of_cluster) return {};
  result.assignment = mapped(*result.assignment, *map.gpu_of_cluster);
  result.finished = result.finished && map.finished;
  return result;
}

}  // namespace evenkeel
