#pragma once

#include <concepts>
#include <string>
#include <tuple>
#include <type_traits>

#include "partition/adaptive/plan_request.h"
#include "partition/foundation/result.h"

/// The fields of all that goes to a solver and back, for packing and unpacking alike. They are named by structured
/// bindings: a struct that gets another field does not compile until it is here.
namespace evenkeel::rebalancer {

template <class T, class Struct>
concept Is = std::same_as<std::remove_const_t<T>, Struct>;

auto fields(Is<Link> auto& link) {
  auto& [bandwidth, latency] = link;
  return std::tie(bandwidth, latency);
}

auto fields(Is<GpuSpec> auto& spec) {
  auto& [memory, fp8, bf16, reached] = spec;
  return std::tie(memory, fp8, bf16, reached);
}

auto fields(Is<StepTimeSettings> auto& settings) {
  auto& [per_token, per_expert, other, overlap] = settings;
  return std::tie(per_token, per_expert, other, overlap);
}

auto fields(Is<Cluster> auto& cluster) {
  auto& [gpus, nodes, intra_node, inter_node, speeds, slots, memory, spec, step_time] = cluster;
  return std::tie(gpus, nodes, intra_node, inter_node, speeds, slots, memory, spec, step_time);
}

auto fields(Is<ModelShape> auto& shape) {
  auto& [layer_ids, experts, hidden_layers] = shape;
  return std::tie(layer_ids, experts, hidden_layers);
}

auto fields(Is<StageLoad> auto& load) {
  auto& [stage, tokens, load_tokens] = load;
  return std::tie(stage, tokens, load_tokens);
}

auto fields(Is<TokenPaths> auto& paths) {
  auto& [top_k, layer_of_round, experts, sequence_start] = paths;
  return std::tie(top_k, layer_of_round, experts, sequence_start);
}

auto fields(Is<RoutingProfile> auto& profile) {
  auto& [shape, windows, paths] = profile;
  return std::tie(shape, windows, paths);
}

auto fields(Is<StepTimeModel> auto& model) {
  auto& [batch, per_token, per_expert, expert_bytes, dispatch, combine, choices, other, overlap] = model;
  return std::tie(batch, per_token, per_expert, expert_bytes, dispatch, combine, choices, other, overlap);
}

auto fields(Is<CommWeights> auto& weights) {
  auto& [other_gpu, other_node] = weights;
  return std::tie(other_gpu, other_node);
}

auto fields(Is<Objective> auto& objective) {
  auto& [comm, weighted] = objective;
  return std::tie(comm, weighted);
}

auto fields(Is<Robust> auto& robust) {
  auto& [quantile] = robust;
  return std::tie(quantile);
}

auto fields(Is<Replan> auto& replan) {
  auto& [running, moves_max] = replan;
  return std::tie(running, moves_max);
}

auto fields(Is<ProblemOptions> auto& problem) {
  auto& [objective, redundant, split, survive, groups, time_model, slack, step, robust, replan] = problem;
  return std::tie(objective, redundant, split, survive, groups, time_model, slack, step, robust, replan);
}

auto fields(Is<Effort> auto& effort) {
  auto& [time, work_units, seed, threads] = effort;
  return std::tie(time, work_units, seed, threads);
}

auto fields(Is<Ablation> auto& without) {
  auto& [metis, transport, search, glpk] = without;
  return std::tie(metis, transport, search, glpk);
}

auto fields(Is<Diagnostics> auto& diagnostics) {
  auto& [without, has_bound] = diagnostics;
  return std::tie(without, has_bound);
}

auto fields(Is<PlaceOptions> auto& options) {
  auto& [strategy, problem, effort, diagnostics] = options;
  return std::tie(strategy, problem, effort, diagnostics);
}

auto fields(Is<PlanRequest> auto& request) {
  auto& [profile, cluster, options] = request;
  return std::tie(profile, cluster, options);
}

/// A solver's answer on its way.
struct PackedAnswer {
  /// Empty: it failed.
  std::string placement = {};
  ErrorCode code = ErrorCode::kFailure;
  std::string message = {};
  double solve_seconds = 0;
};

auto fields(Is<PackedAnswer> auto& answer) {
  auto& [placement, code, message, solve_seconds] = answer;
  return std::tie(placement, code, message, solve_seconds);
}

/// The last of an enumeration's values, which number from 0.
template <class Enum>
inline constexpr Enum kLast = Enum();
template <>
inline constexpr Stage kLast<Stage> = Stage::kMixed;
template <>
inline constexpr Comm kLast<Comm> = Comm::kDispatch;
template <>
inline constexpr ReplicaSplit kLast<ReplicaSplit> = ReplicaSplit::kUneven;
template <>
inline constexpr Strategy kLast<Strategy> = Strategy::kMoetunerStrong;
template <>
inline constexpr ErrorCode kLast<ErrorCode> = ErrorCode::kTimeLimit;

}  // namespace evenkeel::rebalancer
