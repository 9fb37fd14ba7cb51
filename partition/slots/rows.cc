#include "partition/slots/rows.h"

#include <utility>

#include "partition/foundation/check.h"

namespace evenkeel {

std::vector<ReplanLayer> replan_layers(const RoutingProfile& profile, const Placement& running) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::vector<ReplanLayer> layers(load.rows());
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    layers[layer].gpus = running.gpus();
    for (std::size_t slot = 0; slot < running.slots(); ++slot)
      layers[layer].gpu_of_slot.push_back(static_cast<GpuIndex>(running.gpu_of(SlotId(slot)).index()));
    for (const std::uint64_t tokens : load[layer])
      layers[layer].load_units.push_back(static_cast<std::int64_t>(tokens) * kLoadUnitsPerToken);
    const auto row = running.row(LayerId(layer));
    layers[layer].running.assign(row.begin(), row.end());
  }
  return layers;
}

Placement with_rows(const Placement& placement, Grid<ExpertIndex> rows) {
  Placement::Fields fields = placement.fields();
  fields.expert_of_slot = std::move(rows);
  fields.shares.reset();
  auto result = Placement::create(std::move(fields));
  EVENKEEL_CHECK(result, "a new plan places every expert");
  return *std::move(result);
}

Grid<std::uint16_t> copies_of(const Placement& placement) {
  Grid<std::uint16_t> copies(placement.layers(), placement.experts());
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    for (const ExpertIndex expert : placement.row(LayerId(layer))) ++copies(layer, expert);
  }
  return copies;
}

Assignment to_assignment(const Instance& instance, const Placement& placement) {
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    // Copies of an expert are neighbours among the items.
    const auto experts = instance.expert_of_item[layer];
    std::vector<std::size_t> next(instance.experts);
    for (std::size_t item = instance.items(); item-- > 0;) next[experts[item]] = item;
    for (std::size_t slot = 0; slot < placement.slots(); ++slot) {
      const std::size_t item = next[placement.row(LayerId(layer))[slot]]++;
      assignment(layer, item) = static_cast<GpuIndex>(placement.gpu_of(SlotId(slot)).index());
    }
  }
  return assignment;
}

}  // namespace evenkeel
