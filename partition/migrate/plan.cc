#include "partition/migrate/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "partition/foundation/check.h"

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
    if (before == after || is_lost(from, to, GpuId(gpu))) continue;
    return invalid_input(
        fmt::format("migration: GPU {} has {} slots a layer before and {} after; give placements in which it has the "
                    "same, or none after where it is lost",
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

/// What a layer's lost GPU is taken to hold before and after: the experts that nobody else holds, for which storage
/// stands in. Where there are none, one that stays on some GPU, so that no change depends on it.
std::vector<ExpertIndex> stored_experts(const Placement& from, const Placement& to, LayerId layer, GpuId lost) {
  std::vector<bool> is_reachable(from.experts(), false);
  std::optional<ExpertIndex> staying;
  for (std::size_t gpu = 0; gpu < from.gpus(); ++gpu) {
    const auto after = to.hosted(layer, GpuId(gpu));
    if (is_lost(from, to, GpuId(gpu))) continue;
    for (const ExpertIndex expert : from.hosted(layer, GpuId(gpu))) {
      is_reachable[expert] = true;
      if (!staying && std::ranges::find(after, expert) != after.end()) staying = expert;
    }
  }
  std::vector<ExpertIndex> stored;
  for (const ExpertIndex expert : from.hosted(layer, lost)) {
    if (!is_reachable[expert]) stored.push_back(expert);
  }
  if (stored.empty()) stored.push_back(staying.value_or(from.hosted(layer, lost).front()));
  return stored;
}

/// One of the two placements, with experts in storage on the lost GPUs, where nothing changes.
Placement with_storage(const Placement& from, const Placement& to, const Placement& of) {
  Placement::Fields fields = evenly_split(from);
  for (std::size_t layer = 0; layer < from.layers(); ++layer) {
    auto slot = fields.expert_of_slot[layer].begin();
    for (std::size_t gpu = 0; gpu < from.gpus(); ++gpu) {
      if (!is_lost(from, to, GpuId(gpu))) {
        slot = std::ranges::copy(of.hosted(LayerId(layer), GpuId(gpu)), slot).out;
        continue;
      }
      const auto stored = stored_experts(from, to, LayerId(layer), GpuId(gpu));
      for (std::size_t i = 0; i < from.fields().slots_of_gpu[gpu]; ++i) *slot++ = stored[i % stored.size()];
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
  std::vector<bool> lost(from.gpus());
  for (std::size_t gpu = 0; gpu < lost.size(); ++gpu) lost[gpu] = is_lost(from, to, GpuId(gpu));
  plan.has_lost = std::ranges::find(lost, true) != lost.end();
  // One is enough to find out whether anything changes at all.
  const std::size_t spare = std::max<std::size_t>(options.spare, 1);
  std::vector<EpochChanges> epochs =
      plan.has_lost ? chain(with_storage(from, to, from), with_storage(from, to, to), spare) : chain(from, to, spare);
  if (options.spare == 0 && !epochs.empty()) {
    return infeasible(
        fmt::format("migration: {} experts move but there are 0 spare buffers a GPU to load them into; give 1 or more",
                    moved.copies.size()));
  }
  Placement before = from;
  for (EpochChanges& changes : epochs) {
    Transfers transfers = plan_transfers(before, changes, cluster, lost, options.expert_bytes);
    before = after_changes(before, changes);
    plan.moves += transfers.copies.size();
    plan.rounds += transfers.rounds;
    plan.intra_node_bytes += transfers.intra_node_bytes;
    plan.inter_node_bytes += transfers.inter_node_bytes;
    plan.storage_bytes += transfers.storage_bytes;
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
  if (placements.empty()) return placements;
  if (plan.has_lost) {
    auto last = keep_slots(placements.back(), to);
    EVENKEEL_CHECK(last, "placements of a plan are of one shape");
    placements.back() = *std::move(last);
  } else if (to.fields().shares) {
    placements.back() = with_shares(placements.back(), to);
  }
  return placements;
}

}  // namespace evenkeel
