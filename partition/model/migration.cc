#include "partition/model/migration.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "partition/model/check.h"

namespace evenkeel {
namespace {

bool hosts(const Placement& placement, LayerId layer, GpuId gpu, ExpertIndex expert) {
  const auto experts = placement.hosted(layer, gpu);
  return std::find(experts.begin(), experts.end(), expert) != experts.end();
}

GpuId nearest_source(const Placement& placement, LayerId layer, ExpertIndex expert, GpuId to) {
  const std::size_t gpus_per_node = placement.gpus() / placement.nodes();
  std::optional<GpuId> source;
  for (std::size_t gpu = 0; gpu < placement.gpus(); ++gpu) {
    if (!hosts(placement, layer, GpuId(gpu), expert)) continue;
    if (gpu / gpus_per_node == to.index() / gpus_per_node) return GpuId(gpu);
    if (!source) source = GpuId(gpu);
  }
  EVENKEEL_CHECK(source, "a placement has a slot for every expert");
  return *source;
}

}  // namespace

Result<Migration> migration(const Placement& from, const Placement& to) {
  if (!std::ranges::equal(from.layer_ids(), to.layer_ids()) || from.experts() != to.experts() ||
      from.gpus() != to.gpus() || from.nodes() != to.nodes()) {
    return invalid_input(fmt::format(
        "migration: placements differ in shape ({} layers, {} experts, {} GPUs on {} nodes against {}, {}, {} on {}); "
        "give two "
        "of the same model and cluster",
        from.layers(), from.experts(), from.gpus(), from.nodes(), to.layers(), to.experts(), to.gpus(), to.nodes()));
  }
  Migration result;
  std::size_t moved_slots = 0;
  for (std::size_t l = 0; l < to.layers(); ++l) {
    const LayerId layer(l);
    for (std::size_t g = 0; g < to.gpus(); ++g) {
      const GpuId gpu(g);
      const auto wanted = to.hosted(layer, gpu);
      for (auto slot = wanted.begin(); slot != wanted.end(); ++slot) {
        if (hosts(from, layer, gpu, *slot)) continue;
        ++moved_slots;
        if (std::find(wanted.begin(), slot, *slot) != slot) continue;
        result.copies.push_back({layer, ExpertId(*slot), nearest_source(from, layer, *slot, gpu), gpu});
      }
    }
  }
  result.churn = static_cast<double>(moved_slots) / static_cast<double>(to.layers() * to.slots());
  return result;
}

}  // namespace evenkeel
