#pragma once

#include <cstdint>
#include <vector>

#include "partition/libraries/metis_adapter.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// METIS first to nodes, then inside each node to its GPUs: the tier that costs most is cut with most freedom. Returns
/// the GPU of each vertex [vertices], slots missed now and then as METIS does.
[[nodiscard]] std::vector<GpuIndex> metis_gpus(const WeightedGraph& graph, const Instance& instance, double balance,
                                               std::uint64_t seed);

/// Adds an edge of a weight to the row of a graph that is being built; weights below 1 are no edge.
void add_edge(WeightedGraph& graph, std::size_t target, double weight);

}  // namespace evenkeel
