#pragma once

#include "partition/model/instance.h"

namespace evenkeel {

/// The problem that is left once the items of each layer are clustered: clusters are its items, one a GPU, and what
/// they exchange is C of MoETuner's equations 9 and 12. `cluster_of_item` [layers, items] is below the number of GPUs.
/// An assignment of it costs as much communication as mapped() makes of it, rounding apart. Needs resident
/// communication. One pass over the traffic.
[[nodiscard]] Instance cluster_instance(const Instance& instance, const Assignment& cluster_of_item);

/// Puts the items of each cluster on the cluster's GPU [layers, clusters].
[[nodiscard]] Assignment mapped(const Assignment& cluster_of_item, const Assignment& gpu_of_cluster);

}  // namespace evenkeel
