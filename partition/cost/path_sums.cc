#include "partition/cost/path_sums.h"

#include <numeric>
#include <span>
#include <utility>

#include "partition/cost/serving.h"

namespace evenkeel {
namespace {

double sum(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

PathSums sum_paths(const TokenPaths& paths, const Placement& placement) {
  PathSums sums;
  if (paths.empty()) return sums;
  sums.round_pairs.resize(paths.rounds() - 1);
  sums.rounds.resize(paths.rounds());
  const ServingTable table(placement);
  TokenSpread spread(table, placement.gpus(), placement.nodes());
  TokenSpread previous(table, placement.gpus(), placement.nodes());
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    for (std::size_t round = 0; round < paths.rounds(); ++round) {
      std::swap(spread, previous);
      spread.assign(paths.layer_of_round[round], paths.chosen(token, round));
      if (spread.experts() == 0) continue;
      sums.rounds[round].gpus_touched += sum(spread.gpu_touched());
      sums.rounds[round].nodes_touched += sum(spread.node_touched());
      sums.rounds[round].tokens += 1;
      if (round == 0 || previous.experts() == 0) continue;
      RoundPairSums& pair = sums.round_pairs[round - 1];
      pair.same_gpu_tokens += dot(previous.gpu_share(), spread.gpu_share());
      pair.same_node_tokens += dot(previous.node_share(), spread.node_share());
      pair.tokens += 1;
    }
  }
  return sums;
}

double communication_cost(const PathSums& sums, const Cluster& cluster, const Objective& objective) {
  const CommWeights weights = objective.comm_weights(cluster);
  double cost = 0;
  if (objective.comm == Comm::kDispatch) {
    for (const RoundSums& round : sums.rounds) {
      if (round.tokens == 0) continue;
      const double nodes = cluster.nodes == 1 ? 0.0 : weights.other_node * round.nodes_touched;
      cost += (weights.other_gpu * round.gpus_touched + nodes) / round.tokens;
    }
    return cost;
  }
  for (const RoundPairSums& pair : sums.round_pairs) {
    if (pair.tokens == 0) continue;
    const double same_gpu = pair.same_gpu_tokens / pair.tokens;
    const double same_node = cluster.nodes == 1 ? 1.0 : pair.same_node_tokens / pair.tokens;
    cost += weights.other_gpu * (same_node - same_gpu) + weights.other_node * (1.0 - same_node);
  }
  return cost;
}

}  // namespace evenkeel
