#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/migrate/layer_changes.h"
#include "partition/model/cluster.h"
#include "partition/model/migration.h"
#include "partition/model/placement.h"

namespace evenkeel {

/// A copy and when it is made.
struct ScheduledCopy {
  ExpertCopy copy;
  /// Its source is lost: it is loaded from storage, which serves all GPUs at once.
  bool is_from_storage;
  /// From 0. In a round a GPU sends at most one expert and receives at most one.
  std::uint32_t round;
};

/// What the changes of one epoch move, while the placement before it serves.
struct Transfers {
  /// In the order in which their sources were chosen: layer, receiving GPU, expert.
  std::vector<ScheduledCopy> copies;
  /// The most experts that any GPU sends or receives.
  std::size_t rounds = 0;
  double intra_node_bytes = 0;
  double inter_node_bytes = 0;
  /// Of experts that only lost GPUs held.
  double storage_bytes = 0;
  /// Modelled: sum over rounds of the slowest copy, expert bytes over the link's bandwidth plus its latency; from
  /// storage as between nodes. That the
  /// new map takes effect costs nothing here.
  std::chrono::duration<double> time{0};
};

/// Plans the copies that changes need. A copy's source holds the expert in `before`: on the same node where there is
/// one, then the one that has sent least so far in this epoch, then the lowest number; one that is lost [gpus] only if
/// there is no other, which is storage. A GPU that holds the expert
/// already (in another slot) needs none.
///
/// Pure. `changes` are changes of `before` in order of layer, GPU and added expert; the cluster is the placement's.
[[nodiscard]] Transfers plan_transfers(const Placement& before, std::span<const SlotChange> changes,
                                       const Cluster& cluster, const std::vector<bool>& lost, double expert_bytes);

}  // namespace evenkeel
