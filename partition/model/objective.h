#pragma once

#include <optional>

#include "partition/model/cluster.h"

namespace evenkeel {

/// Which way tokens travel between layers.
enum class Comm {
  kResident,  ///< A token stays where its first expert ran and hops to its next experts' GPUs (ExFlow, MoETuner).
  kDispatch,  ///< A token returns to its home rank after each layer (Megatron, DeepEP, vLLM, SGLang, TensorRT-LLM).
};

/// What one unit of communication costs, by how far it goes.
struct CommWeights {
  /// A share of tokens that goes to another GPU of its node.
  double other_gpu = 1.0;
  /// A share of tokens that goes to another node.
  double other_node = 1.0;
  bool operator==(const CommWeights&) const = default;
};

/// What a placement is searched for. Lexicographic by default: the best largest load of each layer, then least
/// communication within the slack on it, weighed by bandwidths. With weights: the one sum
/// J = sum over layers of max / mean load + other_gpu x share to another GPU of the node + other_node x share to
/// another node, for resident communication, as published planners have it.
struct Objective {
  Comm comm = Comm::kResident;
  std::optional<CommWeights> weighted;

  /// Weights of communication: those of J, or by bandwidth: 1 between nodes, q inside, and 1 inside a single node.
  [[nodiscard]] CommWeights comm_weights(const Cluster& cluster) const {
    if (weighted) return *weighted;
    return {cluster.nodes == 1 ? 1.0 : cluster.intra_node_cost_ratio(), 1.0};
  }
  bool operator==(const Objective&) const = default;
};

}  // namespace evenkeel
