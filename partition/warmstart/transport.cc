#include "partition/warmstart/transport.h"

#include <algorithm>

#include "partition/model/arrangement.h"
#include "partition/model/semi_assignment.h"
#include "partition/warmstart/repair.h"

namespace evenkeel {
namespace {

/// Traffic each item of a layer keeps on each GPU with the layers before it [items, gpus].
Grid<double> kept_with_earlier(const Instance& instance, const Assignment& assignment, std::size_t layer) {
  Grid<double> kept(instance.items(), instance.gpus);
  for (const Neighbour& other : instance.neighbours[layer]) {
    if (other.layer >= layer) continue;
    for (std::size_t item = 0; item < instance.items(); ++item) {
      std::vector<double> on_node(instance.nodes, 0.0);
      for (std::size_t j = 0; j < instance.items(); ++j) {
        const auto traffic = static_cast<double>(other.traffic(item, j));
        const std::size_t gpu = assignment(other.layer, j);
        kept(item, gpu) += instance.gpu_gain * traffic;
        on_node[instance.node_of(gpu)] += instance.node_gain * traffic;
      }
      for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) kept(item, gpu) += on_node[instance.node_of(gpu)];
    }
  }
  return kept;
}

}  // namespace

std::chrono::duration<double> transport_estimate(const Instance& instance) {
  const double cells = static_cast<double>(instance.layers() * instance.items() * instance.items());
  return std::chrono::duration<double>(6e-8 * cells);
}

Assignment transport_assignment(const Instance& instance, const Assignment& start) {
  Assignment assignment = start;
  for (std::size_t layer = 1; layer < instance.layers(); ++layer) {
    const auto gpu_of_item =
        best_semi_assignment(kept_with_earlier(instance, assignment, layer), instance.slots_per_gpu());
    std::ranges::transform(gpu_of_item, assignment[layer].begin(),
                           [](std::size_t gpu) { return static_cast<GpuIndex>(gpu); });
  }
  Arrangement arrangement(instance, std::move(assignment));
  repair_slots(arrangement, start);
  return arrangement.assignment();
}

}  // namespace evenkeel
