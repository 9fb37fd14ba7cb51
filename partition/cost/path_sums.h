#pragma once

#include <cstddef>
#include <vector>

#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Tokens that stay together between a round and the next, in expectation over the split of replicas.
struct RoundPairSums {
  double same_gpu_tokens = 0;
  double same_node_tokens = 0;
  /// Tokens with a real expert in both rounds.
  double tokens = 0;
};

/// Sums over token paths that the communication metrics and objectives are made of.
struct PathSums {
  /// [rounds - 1]
  std::vector<RoundPairSums> round_pairs;
  /// Distinct GPUs and nodes touched, summed over tokens and rounds, and the number of those with a real expert.
  double gpus_touched = 0;
  double nodes_touched = 0;
  double token_rounds = 0;
};

/// Pure; tokens x rounds x (k x copies + GPUs) time. All zero without token paths.
[[nodiscard]] PathSums sum_paths(const TokenPaths& paths, const Placement& placement);

/// Step 2's objective for resident communication: sum over round pairs of the share of tokens that leave their node
/// plus q times the share that leave only their GPU; with one node the share that leave their GPU.
[[nodiscard]] double resident_cost(const PathSums& sums, const Cluster& cluster);

}  // namespace evenkeel
