#include "partition/migrate/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "partition/model/check.h"

namespace evenkeel {
namespace {

Status validate(const Placement& from, const Placement& to, const Cluster& cluster) {
  EVENKEEL_TRY_STATUS(cluster.validate());
  if (from.gpus() != cluster.gpus || from.nodes() != cluster.nodes) {
    return invalid_input(
        fmt::format("migration: the placements are for {} GPUs on {} nodes but the cluster has {} on {}; give the "
                    "cluster they were made for",
                    from.gpus(), from.nodes(), cluster.gpus, cluster.nodes));
  }
  for (std::size_t gpu = 0; gpu < from.gpus(); ++gpu) {
    const std::uint32_t before = from.fields().slots_of_gpu[gpu];
    const std::uint32_t after = to.fields().slots_of_gpu[gpu];
    if (before == after) continue;
    return invalid_input(
        fmt::format("migration: GPU {} has {} slots a layer before and {} after; give two placements with equal slots",
                    gpu, before, after));
  }
  return {};
}

/// A copy of `placement` without shares, which hold for one placement only.
Placement::Fields evenly_split(const Placement& placement) {
  Placement::Fields fields = placement.fields();
  fields.shares.reset();
  return fields;
}

Placement create_or_stop(Placement::Fields fields) {
  auto placement = Placement::create(std::move(fields));
  EVENKEEL_CHECK(placement, "an epoch is a valid placement");
  return *std::move(placement);
}

/// `placement` with the shares of `to`, which holds the same experts on every GPU: the i-th slot of an expert on a GPU
/// has the share of its i-th slot there.
Placement with_shares(const Placement& placement, const Placement& to) {
  const Grid<double>& wanted = *to.fields().shares;
  Placement::Fields fields = placement.fields();
  fields.shares = Grid<double>(wanted.rows(), wanted.cols());
  for (std::size_t layer = 0; layer < wanted.rows(); ++layer) {
    std::vector<bool> is_taken(wanted.cols());
    const auto row = to.row(LayerId(layer));
    for (std::size_t slot = 0; slot < wanted.cols(); ++slot) {
      std::size_t same = 0;
      while (is_taken[same] || row[same] != fields.expert_of_slot(layer, slot) ||
             to.gpu_of(SlotId(same)) != to.gpu_of(SlotId(slot))) {
        ++same;
      }
      is_taken[same] = true;
      (*fields.shares)(layer, slot) = wanted(layer, same);
    }
  }
  return create_or_stop(std::move(fields));
}

std::vector<EpochChanges> chain(const Placement& from, const Placement& to, std::size_t spare) {
  std::vector<ChangeClass> classes;
  for (std::size_t layer = 0; layer < from.layers(); ++layer) {
    std::ranges::move(changes_of_layer(from, to, LayerId(layer)), std::back_inserter(classes));
  }
  return pack_epochs(classes, from.gpus(), spare);
}

}  // namespace

Placement after_changes(const Placement& before, const EpochChanges& changes) {
  Placement::Fields fields = evenly_split(before);
  for (const SlotChange& change : changes) {
    const auto row = fields.expert_of_slot[change.layer.index()];
    std::size_t slot = 0;
    while (slot < row.size() && (row[slot] != change.removed.index() || before.gpu_of(SlotId(slot)) != change.gpu)) {
      ++slot;
    }
    EVENKEEL_CHECK(slot < row.size(), "a change removes an expert that its GPU holds");
    row[slot] = static_cast<ExpertIndex>(change.added.index());
  }
  return create_or_stop(std::move(fields));
}

Result<MigrationPlan> plan_migration(const Placement& from, const Placement& to, const Cluster& cluster,
                                     const PlanOptions& options) {
  EVENKEEL_TRY(moved, migration(from, to));
  EVENKEEL_TRY_STATUS(validate(from, to, cluster));
  MigrationPlan plan;
  plan.churn = moved.churn;
  // One is enough to find out whether anything changes at all.
  std::vector<EpochChanges> epochs = chain(from, to, std::max<std::size_t>(options.spare, 1));
  if (options.spare == 0 && !epochs.empty()) {
    return infeasible(
        fmt::format("migration: {} experts move but there are 0 spare buffers a GPU to load them into; give 1 or more",
                    moved.copies.size()));
  }
  Placement before = from;
  for (EpochChanges& changes : epochs) {
    Transfers transfers = plan_transfers(before, changes, cluster, options.expert_bytes);
    before = after_changes(before, changes);
    plan.moves += transfers.copies.size();
    plan.rounds += transfers.rounds;
    plan.intra_node_bytes += transfers.intra_node_bytes;
    plan.inter_node_bytes += transfers.inter_node_bytes;
    plan.time += transfers.time;
    plan.epochs.push_back({std::move(changes), std::move(transfers)});
  }
  return plan;
}

std::vector<Placement> epoch_placements(const MigrationPlan& plan, const Placement& from, const Placement& to) {
  std::vector<Placement> placements;
  for (const MigrationEpoch& epoch : plan.epochs) {
    placements.push_back(after_changes(placements.empty() ? from : placements.back(), epoch.changes));
  }
  if (!placements.empty() && to.fields().shares) placements.back() = with_shares(placements.back(), to);
  return placements;
}

}  // namespace evenkeel
