#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "partition/model/grid.h"
#include "partition/model/id.h"
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

/// Limit of one exact solve: wall time, or branch-and-bound nodes so that equal arguments give equal results.
struct ExactLimit {
  std::optional<std::chrono::duration<double>> time;
  std::optional<std::uint64_t> nodes;
};

struct LayerSolution {
  /// [items]
  std::vector<GpuIndex> gpu_of_item;
  /// Traffic kept.
  double kept = 0;
  /// No assignment of this layer keeps more than this.
  double bound = 0;
};

/// Solves the program by GLPK's branch and bound from the incumbent, columns that cannot beat it fixed beforehand by
/// their reduced costs. Built, solved and dropped on the calling thread; thread-safe.
[[nodiscard]] LayerSolution solve_layer(const LayerProgram& program, const ExactLimit& limit);

}  // namespace evenkeel
