#pragma once

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Clusters to GPUs, each layer the best given those before it: an assignment problem a layer.
[[nodiscard]] Assignment forward_map(const Instance& clusters);

/// Lowers the communication of a map of clusters to GPUs, until neither of two exact moves does or the
/// budget ends: all clusters of one
/// layer given its neighbours; and, where layers form a chain, all boundaries given which clusters share a node.
[[nodiscard]] Assignment swept_map(const Instance& clusters, Assignment map, Budget& budget);

}  // namespace evenkeel
