#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// A layer's largest GPU load over the GPU's speed, and what it would be if all were as busy, in tokens. GPUs without
/// slots do not count.
struct LoadPeak {
  double max = 0;
  double mean = 0;
};
[[nodiscard]] LoadPeak load_peak(std::span<const double> gpu_load, const Placement& placement, const Cluster& cluster);

/// Load of each GPU in each layer, all windows together, in tokens [layers, gpus].
[[nodiscard]] Grid<double> gpu_load_tokens(const Grid<std::uint64_t>& load_tokens, const Placement& placement);

/// What a placement does to a stretch of traffic. Absent where the input does not define it (no token paths, no
/// placement to migrate from). Layers without load do not count.
struct Metrics {
  /// max / mean GPU load, mean over loaded layers; 1 is perfect.
  double imbalance_mean = 0;
  double imbalance_worst = 0;
  /// [layers]; 0 for a layer without load.
  std::vector<double> imbalance_by_layer;
  /// Share of layer-to-layer transitions that stay on a GPU (resident communication; engines dispatch instead).
  std::optional<double> same_gpu_share;
  std::optional<double> same_node_share;
  /// Distinct GPUs that hold a token's experts in a layer, mean over tokens and layers with a real expert.
  std::optional<double> gpus_touched;
  std::optional<double> nodes_touched;
  /// Busiest GPU's bytes in or out, sum over rounds, a step.
  std::optional<double> busiest_gpu_bytes;
  /// Without token paths the compute part alone.
  double step_time_seconds = 0;
  /// mean / max, mean over layers.
  double sglang_balancedness = 0;
  /// Sum over layers of mean / sum over layers of max.
  double vllm_balancedness = 0;
  /// (max - mean) / mean, mean over layers.
  double trtllm_imbalance = 0;
  /// Peak to average: max / mean, mean over layers.
  double ascend_par = 0;
  /// Slots that hold an expert their GPU already holds, over all layers.
  std::size_t duplicate_slots = 0;
  /// Against the placement measured from: share of slots whose GPU did not hold the expert.
  std::optional<double> churn;
  std::optional<double> moved_bytes;
  /// Transfer rounds: the most experts any GPU sends or receives.
  std::optional<std::size_t> rounds;
};

/// Measures a placement on a profile of the same shape. `from` is the placement it would replace, if any. Pure.
/// Fails with kInvalidInput where shapes differ. Cost: tokens x rounds x k x copies.
[[nodiscard]] Result<Metrics> measure(const RoutingProfile& profile, const Placement& placement, const Cluster& cluster,
                                      const StepTimeModel& model, Comm comm, const Placement* from = nullptr);

}  // namespace evenkeel
