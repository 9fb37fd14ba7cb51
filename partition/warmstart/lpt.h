#pragma once

#include "partition/model/instance.h"

namespace evenkeel {

/// Largest processing time first: each item of each layer, heaviest first, to the least loaded GPU that has a free slot
/// and no copy of its expert. Ties by item, then GPU number. Deterministic; items x GPUs a layer.
[[nodiscard]] Assignment lpt_assignment(const Instance& instance, std::size_t threads = 1);

/// The same inside each node, for items whose node is given [layers, items]. Needs an instance without replicas.
[[nodiscard]] Assignment lpt_within_nodes(const Instance& instance, const Assignment& node_of_item);

}  // namespace evenkeel
