#pragma once

#include <cstddef>
#include <vector>

#include "partition/model/cluster.h"
#include "partition/model/objective.h"
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

/// What the tokens of one round touch.
struct RoundSums {
  /// Distinct GPUs and nodes, summed over tokens.
  double gpus_touched = 0;
  double nodes_touched = 0;
  /// Tokens with a real expert.
  double tokens = 0;
};

/// Sums over token paths that the communication metrics and objectives are made of.
struct PathSums {
  /// [rounds - 1]
  std::vector<RoundPairSums> round_pairs;
  /// [rounds]
  std::vector<RoundSums> rounds;
};

/// Pure; tokens x rounds x (k x copies + GPUs) time. All zero without token paths.
[[nodiscard]] PathSums sum_paths(const TokenPaths& paths, const Placement& placement);

/// Communication as the objective counts it. Resident: sum over round pairs of the shares of tokens that leave their
/// node and that leave only their GPU, times their weights; with one node the share that leave their GPU. Dispatch: sum
/// over rounds of the mean GPUs and nodes touched, times their weights; with one node the GPUs.
[[nodiscard]] double communication_cost(const PathSums& sums, const Cluster& cluster, const Objective& objective);

}  // namespace evenkeel
