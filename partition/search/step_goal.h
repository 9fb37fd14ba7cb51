#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/foundation/grid.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Seconds that the all-to-all of one layer's rounds takes for each token of the paths that touches a GPU or a node, of
/// hierarchical dispatch and combine as in docs/reference/step-time.md: on a tier the time is
/// shared x tokens touching all its parts + busiest x those touching its busiest part.
struct TransferPrices {
  struct Tier {
    double shared = 0;
    double busiest = 0;
  };
  /// Between the GPUs of a node, and between nodes; nothing where there is one node.
  Tier gpus;
  Tier nodes;
};

/// What a placement is searched for where the modelled step of traffic to come decides: in each layer the expected time
/// of the slowest GPU, over samples of the traffic, and the time of the all-to-all.
struct StepGoal {
  /// Seconds that each item takes its GPU in one step of each sample [layers] of [items, samples].
  std::vector<Grid<float>> item_seconds;
  /// [layers]
  std::vector<TransferPrices> transfer;
  double overlap_ratio = 0;

  [[nodiscard]] double seconds(double compute, double transfer_seconds) const {
    return compute + transfer_seconds - overlap_ratio * std::min(compute, transfer_seconds);
  }
};

/// Samples are thirds of the sequences, drawn several times: they differ from all of them as much as two recordings of
/// that length do from one another. Where there are few sequences, stretches of them stand in. Needs token paths, and
/// an instance of the profile.
[[nodiscard]] StepGoal make_step_goal(const RoutingProfile& profile, const Instance& instance, const Cluster& cluster,
                                      const StepTimeModel& model, std::uint64_t seed);

}  // namespace evenkeel
