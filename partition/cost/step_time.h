#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "partition/model/cluster.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Constants of the step-time model. Defaults are DeepSeek-V3 in FP8 on H100: an expert has 3 x 7168 x 2048 weights
/// (arXiv 2412.19437, section 4.2); 3.35 TB/s of HBM3 and half of 1,979 TFLOP/s dense FP8 (NVIDIA H100 SXM data sheet).
struct StepTimeModel {
  /// Tokens of one step over all ranks.
  std::size_t batch_tokens = 8192;
  /// c: computing one token in one expert, 6 x 7168 x 2048 flop at half of the peak.
  std::chrono::duration<double, std::micro> compute_per_token{0.09};
  /// a: an expert that is touched at all reads its weights from memory once.
  std::chrono::duration<double, std::micro> compute_per_expert{13.0};
  /// Bytes of one expert: what a migration moves.
  double expert_bytes = 44e6;
  /// Bytes a token sends to each GPU it is dispatched to, one byte a hidden unit.
  double dispatch_bytes = 7168;
  /// Bytes it gets back, two bytes a hidden unit.
  double combine_bytes = 14336;
  /// Experts a token chooses in a round, where the traffic has no token paths that tell; DeepSeek-V3's.
  double experts_per_token = 8;
  /// Attention and all else that a layer with experts takes, whatever the placement.
  std::chrono::duration<double, std::micro> other_per_layer{0};
  /// How much of a round's computing and communication happens at once: 0 one after the other, 1 as long as the longer.
  double overlap_ratio = 0;
  bool operator==(const StepTimeModel&) const = default;
};

/// Rounds of a token over a layer's experts; 1 where loads alone are known.
[[nodiscard]] std::size_t rounds_of(const RoutingProfile& profile, std::size_t layer);

/// Chance that a token of a step chooses each expert in one round of a layer [experts]; zeros for a layer without load.
[[nodiscard]] std::vector<double> expert_chances(const RoutingProfile& profile, const StepTimeModel& model,
                                                 const Grid<std::uint64_t>& load_tokens, std::size_t layer);

/// Time that a copy takes on a GPU of speed 1 in one round, tokens reaching it with such a chance: c x its tokens, and
/// a where any does.
[[nodiscard]] inline std::chrono::duration<double> copy_time(const StepTimeModel& model, double chance) {
  const auto batch = static_cast<double>(model.batch_tokens);
  return model.compute_per_token * (batch * chance) + model.compute_per_expert * (1.0 - std::pow(1.0 - chance, batch));
}

/// Traffic of one step of `batch_tokens` in one layer: the busiest GPU's bytes a tier, the larger of in and out.
struct LayerTraffic {
  double intra_node_bytes = 0;
  double inter_node_bytes = 0;
  /// Both tiers together, of the GPU with the largest sum.
  double busiest_gpu_bytes = 0;
};

/// Busiest GPU's traffic [rounds]. A replica is chosen by the expected value of the even (or stated) split. A token's
/// home rank is each GPU with slots with equal chance: engines deal sequences out, and a sample of few sequences would
/// make some ranks busy that are not. Resident tokens move on with their first expert, and a round without a real
/// expert passes the GPU on. Needs token paths.
[[nodiscard]] std::vector<LayerTraffic> layer_traffic(const RoutingProfile& profile, const Placement& placement,
                                                      const Cluster& cluster, const StepTimeModel& model, Comm comm);

/// Time of a round's all-to-all: the busiest GPU's transfer on the slower tier, and the latency of the outer tier that
/// is used. Nothing where nothing is sent.
[[nodiscard]] std::chrono::duration<double> transfer_time(const LayerTraffic& traffic, const Cluster& cluster);

/// Modelled time of one step (docs/reference/step-time.md): sum over layers with load of what is beside the experts
/// and, for each round, of the slowest GPU's compute (c tokens + a touched experts, over its speed) and, where
/// `traffic` [rounds] is given, of transfer_time(), less what overlaps.
[[nodiscard]] std::chrono::duration<double> step_time(const RoutingProfile& profile, const Placement& placement,
                                                      const Cluster& cluster, const StepTimeModel& model,
                                                      const std::vector<LayerTraffic>& traffic);

}  // namespace evenkeel
