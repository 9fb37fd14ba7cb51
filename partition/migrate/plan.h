#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/foundation/result.h"
#include "partition/migrate/epoch_packing.h"
#include "partition/migrate/transfers.h"
#include "partition/model/cluster.h"
#include "partition/model/placement.h"

namespace evenkeel {

struct PlanOptions {
  /// Expert buffers of a GPU that migrations may load into, all layers together. Range: 1 or more, where anything
  /// moves.
  std::size_t spare = 2;
  /// Bytes of one expert.
  double expert_bytes = StepTimeModel{}.expert_bytes;
};

/// One link of the chain: slot changes that take effect at once, after their copies are made.
struct MigrationEpoch {
  EpochChanges changes;
  Transfers transfers;
};

/// A chain of epochs. Sums over them beside it.
struct MigrationPlan {
  std::vector<MigrationEpoch> epochs;
  /// Experts copied to a GPU that did not hold them.
  std::size_t moves = 0;
  /// Share of all slots whose GPU did not hold their expert before.
  double churn = 0;
  std::size_t rounds = 0;
  double intra_node_bytes = 0;
  double inter_node_bytes = 0;
  double storage_bytes = 0;
  /// Whether a GPU that has slots before has none after.
  bool has_lost = false;
  /// Modelled time of the copies; they run beside serving.
  std::chrono::duration<double> time{0};
};

/// Turns a change of placement into a chain of epochs that fit the spare buffers, and each into transfer rounds.
///
/// Every epoch is a valid placement: each expert keeps a slot in each layer; a GPU keeps its number of slots, holds an
/// expert twice only where `from` or `to` does, and gets at most `spare` experts. Copies come from the placement before
/// the epoch. One spare buffer is always enough, because the changes of a layer come apart into cycles that visit no
/// GPU twice (changes_of_layer()). Sources, rounds and time: plan_transfers().
///
/// A GPU that has no slots in `to` is lost: no copy comes from it but, from storage, those of experts that nobody else
/// holds, which until their epoch are out of reach.
///
/// Pure; equal arguments give equal plans. Fails with kInvalidInput where the placements or the cluster differ in
/// shape, kInfeasible without a spare buffer. Cost: (changes + epochs x slots) x layers at worst; 58 layers of 288
/// slots on 32 GPUs take 0.3 s.
[[nodiscard]] Result<MigrationPlan> plan_migration(const Placement& from, const Placement& to, const Cluster& cluster,
                                                   const PlanOptions& options);

/// The placement after a list of changes: each takes the first slot of its GPU that holds the expert it removes, so
/// experts that stay keep their slots. Tokens are split evenly over replicas. Pure.
[[nodiscard]] Placement after_changes(const Placement& before, const EpochChanges& changes);

/// The placement after each epoch of a plan from `from` to `to`; lost GPUs are emptied in the last. The last holds what
/// `to` holds, with its shares; slots may be in another order inside a GPU. Pure.
[[nodiscard]] std::vector<Placement> epoch_placements(const MigrationPlan& plan, const Placement& from,
                                                      const Placement& to);

}  // namespace evenkeel
