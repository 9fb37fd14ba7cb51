#include "partition/search/relabel.h"

#include <algorithm>
#include <vector>

#include "partition/model/gpu_names.h"

namespace evenkeel {
namespace {

/// Below this a renaming is rounding of the maintained affinities.
constexpr double kGainMin = 1e-9;

/// Traffic that the items of each GPU of a layer would keep if they were on another [GPU now, GPU then].
Grid<double> kept_by_groups(const Arrangement& arrangement, std::size_t layer) {
  const Instance& instance = arrangement.instance();
  Grid<double> kept(instance.gpus, instance.gpus);
  for (std::size_t item = 0; item < instance.items(); ++item) {
    const std::size_t group = arrangement.gpu_of(layer, item);
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) kept(group, gpu) += arrangement.affinity(layer, item, gpu);
  }
  return kept;
}

/// Traffic that the items of each GPU of a layer would keep with the layer before if they were on another [GPU now, GPU
/// then].
Grid<double> kept_with_last(const Instance& instance, const Assignment& assignment, std::size_t layer) {
  Grid<double> kept(instance.gpus, instance.gpus);
  const Grid<float>* const last = instance.traffic(layer, layer - 1);
  if (last == nullptr) return kept;
  for (std::size_t item = 0; item < instance.items(); ++item) {
    const auto row = kept[assignment(layer, item)];
    for (std::size_t other = 0; other < instance.items(); ++other)
      row[assignment(layer - 1, other)] += static_cast<double>((*last)(item, other));
  }
  for (std::size_t group = 0; group < instance.gpus; ++group) {
    std::vector<double> on_node(instance.nodes, 0.0);
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) on_node[instance.node_of(gpu)] += kept(group, gpu);
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu)
      kept(group, gpu) = instance.gpu_gain * kept(group, gpu) + instance.node_gain * on_node[instance.node_of(gpu)];
  }
  return kept;
}

/// Renames the GPUs of each layer of a chain to suit the one before. Renaming all layers from one on changes nothing
/// but what it exchanges with the one before, so that this is the best of all namings.
void relabel_chain(Arrangement& arrangement) {
  const Instance& instance = arrangement.instance();
  Assignment renamed = arrangement.assignment();
  for (std::size_t layer = 1; layer < instance.layers(); ++layer) {
    const auto names = best_gpu_names(kept_with_last(instance, renamed, layer), instance.nodes);
    std::ranges::transform(renamed[layer], renamed[layer].begin(),
                           [&](GpuIndex gpu) { return static_cast<GpuIndex>(names[gpu]); });
  }
  if (communication(instance, renamed) >= arrangement.communication() - kGainMin) return;
  for (std::size_t layer = 1; layer < instance.layers(); ++layer) arrangement.assign_layer(layer, renamed[layer]);
}

}  // namespace

bool relabel_layer(Arrangement& arrangement, std::size_t layer) {
  const Instance& instance = arrangement.instance();
  if (instance.neighbours[layer].empty() || instance.has_own_traffic(layer)) return false;
  const Grid<double> kept = kept_by_groups(arrangement, layer);
  const auto names = best_gpu_names(kept, instance.nodes);
  double gain = 0;
  for (std::size_t group = 0; group < names.size(); ++group) gain += kept(group, names[group]) - kept(group, group);
  if (gain <= kGainMin) return false;
  std::vector<GpuIndex> renamed(instance.items());
  std::ranges::transform(arrangement.assignment()[layer], renamed.begin(),
                         [&](GpuIndex gpu) { return static_cast<GpuIndex>(names[gpu]); });
  arrangement.assign_layer(layer, renamed);
  return true;
}

void relabel(Arrangement& arrangement, BudgetSlice& slice) {
  const Instance& instance = arrangement.instance();
  if (slice.exhausted() || !instance.has_traffic()) return;
  if (instance.is_chain()) {
    slice.spend(instance.layers() * instance.items() * instance.gpus);
    return relabel_chain(arrangement);
  }
  bool changed = true;
  while (changed) {
    changed = false;
    for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
      if (slice.exhausted()) return;
      slice.spend(instance.items() * instance.gpus);
      changed = relabel_layer(arrangement, layer) || changed;
    }
  }
}

}  // namespace evenkeel
