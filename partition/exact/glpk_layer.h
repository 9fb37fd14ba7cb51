#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/exact/glpk_program.h"
#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// One layer with all others fixed: put each item on a GPU so that the traffic kept is largest, every GPU taking
/// `slots_per_gpu` items, at most one copy of an expert, and at most `cap_units` of load. The cap rows are the load cut
/// of the general program with the layer's time fixed at its cap.
struct LayerProgram {
  /// Traffic an item keeps on each GPU [items, gpus].
  Grid<double> affinity;
  std::span<const ExpertIndex> expert_of_item;
  std::span<const std::int64_t> load_units;
  std::int64_t cap_units;
  std::size_t slots_per_gpu;
  /// A feasible start [items]; the result is never worse.
  std::span<const GpuIndex> incumbent;
};

struct LayerSolution {
  /// [items]
  std::vector<GpuIndex> gpu_of_item;
  /// Traffic kept.
  double kept = 0;
  /// No assignment of this layer keeps more than this.
  double bound = 0;
  /// Whether the search ended with a proof.
  bool is_closed = false;
};

/// Solves the program by GLPK's branch and bound from the incumbent. Thread-safe.
[[nodiscard]] LayerSolution solve_layer(const LayerProgram& program, const ExactLimit& limit);

}  // namespace evenkeel
