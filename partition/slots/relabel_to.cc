#include "partition/slots/relabel_to.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "partition/foundation/check.h"
#include "partition/model/gpu_names.h"
#include "partition/model/migration.h"

namespace evenkeel {
namespace {

/// Adds the slots of each GPU that would not move under another name [GPU, name].
void add_kept_slots(const Placement& from, const Placement& to, LayerId layer, Grid<double>& kept) {
  std::vector<bool> held;
  for (std::size_t name = 0; name < to.gpus(); ++name) {
    held.assign(to.experts(), false);
    for (const ExpertIndex expert : from.hosted(layer, GpuId(name))) held[expert] = true;
    for (std::size_t gpu = 0; gpu < to.gpus(); ++gpu)
      kept(gpu, name) += static_cast<double>(
          std::ranges::count_if(to.hosted(layer, GpuId(gpu)), [&](ExpertIndex expert) { return held[expert]; }));
  }
}

void rename_gpus(const Placement& to, std::size_t layer, const std::vector<std::size_t>& names,
                 Placement::Fields& fields) {
  const std::size_t slots_per_gpu = to.slots() / to.gpus();
  for (std::size_t slot = 0; slot < to.slots(); ++slot) {
    const std::size_t renamed = names[slot / slots_per_gpu] * slots_per_gpu + slot % slots_per_gpu;
    fields.expert_of_slot(layer, renamed) = to.fields().expert_of_slot(layer, slot);
    if (fields.shares) (*fields.shares)(layer, renamed) = (*to.fields().shares)(layer, slot);
  }
}

}  // namespace

Placement relabel_to(const Placement& from, const Placement& to, RenameScope scope) {
  EVENKEEL_CHECK(to.has_equal_slots(), "GPUs can change names only where they have equal slots");
  const std::size_t nodes = scope == RenameScope::kEachLayer ? 1 : to.nodes();
  Placement::Fields fields = to.fields();
  Grid<double> kept_in_all(to.gpus(), to.gpus());
  for (std::size_t layer = 0; layer < to.layers(); ++layer) {
    if (scope == RenameScope::kAllLayersInNodes) {
      add_kept_slots(from, to, LayerId(layer), kept_in_all);
      continue;
    }
    Grid<double> kept(to.gpus(), to.gpus());
    add_kept_slots(from, to, LayerId(layer), kept);
    rename_gpus(to, layer, best_gpu_names(kept, nodes), fields);
  }
  if (scope == RenameScope::kAllLayersInNodes) {
    const auto names = best_gpu_names(kept_in_all, nodes);
    for (std::size_t layer = 0; layer < to.layers(); ++layer) rename_gpus(to, layer, names, fields);
  }
  auto renamed = Placement::create(std::move(fields));
  EVENKEEL_CHECK(renamed, "GPUs under other names hold what they held");
  return *keep_slots(from, *renamed);
}

}  // namespace evenkeel
