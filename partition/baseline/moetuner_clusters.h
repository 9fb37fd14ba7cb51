#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "partition/baseline/integer_program.h"
#include "partition/model/instance.h"

namespace evenkeel {

struct LayerClusters {
  /// [items], below the number of GPUs; empty where no solution was found.
  std::vector<GpuIndex> cluster_of_item;
  /// Whether it is proved to be within the gap.
  bool finished = false;
  /// Nodes of branch and bound made.
  std::uint64_t nodes = 0;
};

/// MoETuner's first integer program (arXiv 2502.06643, equations 1 to 7) for one layer: with x[c, e] whether expert e
/// is in cluster c and T[c] = sum_e P[e] x[c, e],
///   minimise sum_c |T[c] - mean T|,   the absolute value as d[c] >= T[c] - mean, d[c] >= mean - T[c].
/// The paper sums over all layers, but no row joins two of them, so that each layer is a program of its own. As printed
/// it lacks the rows that make clusters a partition, and sum_e x[c, e] >= 1 (7) alone is no placement; added here are
/// sum_c x[c, e] = 1 and sum_e x[c, e] = slots, which implies (7), and with replicas at most one copy of an expert a
/// cluster. Where loads can be levelled out the relaxation is 0 and no relative gap but an exact 0 closes it.
/// Thread-safe.
[[nodiscard]] LayerClusters moetuner_clusters(const Instance& instance, std::size_t layer, const ProgramLimit& limit);

}  // namespace evenkeel
