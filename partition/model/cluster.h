#pragma once

#include <chrono>
#include <cstddef>

#include "partition/model/id.h"
#include "partition/model/result.h"

namespace evenkeel {

/// A tier of the network, per GPU and direction.
struct Link {
  /// Gigabytes (1e9 bytes) a second. Above 0.
  double bandwidth_gb_per_s;
  std::chrono::duration<double, std::micro> latency;
  bool operator==(const Link&) const = default;
};

/// The expert-parallel ranks a model is spread over: `gpus` GPUs on `nodes` machines, in order, the same number on
/// each.
struct Cluster {
  std::size_t gpus = 1;
  std::size_t nodes = 1;
  /// NVLink of an H100 node, one direction.
  Link intra_node{450.0, std::chrono::microseconds(3)};
  /// One 400 Gbit/s InfiniBand port a GPU.
  Link inter_node{50.0, std::chrono::microseconds(10)};

  [[nodiscard]] std::size_t gpus_per_node() const { return gpus / nodes; }
  [[nodiscard]] NodeId node_of(GpuId gpu) const { return NodeId(gpu.index() / gpus_per_node()); }

  /// What a byte between GPUs of one node costs relative to a byte between nodes: q of the communication objective.
  [[nodiscard]] double intra_node_cost_ratio() const {
    return inter_node.bandwidth_gb_per_s / intra_node.bandwidth_gb_per_s;
  }

  /// Fails with kInvalidInput for a number out of range, kInfeasible when the nodes cannot hold equal numbers of GPUs.
  [[nodiscard]] Status validate() const;
};

}  // namespace evenkeel
