#include "partition/strategies/few_moves.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "partition/model/migration.h"
#include "partition/slots/relabel_to.h"
#include "partition/slots/rows.h"

namespace evenkeel {
namespace {

bool is_loaded(std::span<const std::uint64_t> load) {
  return std::ranges::any_of(load, [](std::uint64_t tokens) { return tokens > 0; });
}

bool has_duplicates(const Placement& placement, LayerId layer) {
  for (std::size_t gpu = 0; gpu < placement.gpus(); ++gpu) {
    const auto hosted = placement.hosted(layer, GpuId(gpu));
    std::vector<ExpertIndex> experts(hosted.begin(), hosted.end());
    std::ranges::sort(experts);
    if (std::ranges::adjacent_find(experts) != experts.end()) return true;
  }
  return false;
}

}  // namespace

Placement with_few_moves(const Placement& running, const Placement& placement, const RoutingProfile& profile,
                         const Objective& objective) {
  const RenameScope scope = profile.paths.empty()               ? RenameScope::kEachLayer
                            : objective.comm == Comm::kDispatch ? RenameScope::kEachLayerInNodes
                                                                : RenameScope::kAllLayersInNodes;
  Placement::Fields fields = relabel_to(running, placement, scope).fields();
  const Grid<std::uint64_t> load = profile.total_load();
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    if (is_loaded(load[layer]) || has_duplicates(running, LayerId(layer))) continue;
    std::ranges::copy(running.row(LayerId(layer)), fields.expert_of_slot[layer].begin());
  }
  return with_rows(placement, std::move(fields.expert_of_slot));
}

Result<std::size_t> count_moves(const Placement& from, const Placement& to) {
  EVENKEEL_TRY(moves, migration(from, to));
  return static_cast<std::size_t>(std::llround(moves.churn * static_cast<double>(to.layers() * to.slots())));
}

}  // namespace evenkeel
