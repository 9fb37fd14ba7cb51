#include "partition/model/migration.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

bool hosts(const Placement& placement, LayerId layer, GpuId gpu, ExpertIndex expert) {
  const auto experts = placement.hosted(layer, gpu);
  return std::find(experts.begin(), experts.end(), expert) != experts.end();
}

GpuId nearest_source(const Placement& from, const Placement& to, LayerId layer, ExpertIndex expert, GpuId receiver) {
  const std::size_t gpus_per_node = from.gpus() / from.nodes();
  const auto rank = [&](GpuId gpu) {
    return std::tuple(is_lost(from, to, gpu), gpu.index() / gpus_per_node != receiver.index() / gpus_per_node, gpu);
  };
  std::optional<GpuId> source;
  for (std::size_t gpu = 0; gpu < from.gpus(); ++gpu) {
    if (!hosts(from, layer, GpuId(gpu), expert)) continue;
    if (!source || rank(GpuId(gpu)) < rank(*source)) source = GpuId(gpu);
  }
  EVENKEEL_CHECK(source, "a placement has a slot for every expert");
  return *source;
}

Status check_same_shape(const Placement& from, const Placement& to) {
  if (std::ranges::equal(from.layer_ids(), to.layer_ids()) && from.experts() == to.experts() &&
      from.gpus() == to.gpus() && from.nodes() == to.nodes())
    return {};
  return invalid_input(fmt::format(
      "migration: placements differ in shape ({} layers, {} experts, {} GPUs on {} nodes against {}, {}, {} on {}); "
      "give two of the same model and cluster",
      from.layers(), from.experts(), from.gpus(), from.nodes(), to.layers(), to.experts(), to.gpus(), to.nodes()));
}

/// For each slot of a GPU, the slot of `to` whose expert goes there.
std::vector<std::size_t> kept_order(std::span<const ExpertIndex> from, std::span<const ExpertIndex> to) {
  const std::size_t none = to.size();
  std::vector<std::size_t> source(to.size(), none);
  std::vector<bool> is_placed(to.size(), false);
  for (std::size_t slot = 0; slot < std::min(from.size(), to.size()); ++slot) {
    for (std::size_t old = 0; old < to.size() && source[slot] == none; ++old) {
      if (is_placed[old] || to[old] != from[slot]) continue;
      source[slot] = old;
      is_placed[old] = true;
    }
  }
  std::size_t next = 0;
  for (std::size_t& slot : source) {
    if (slot != none) continue;
    while (is_placed[next]) ++next;
    slot = next++;
  }
  return source;
}

}  // namespace

bool is_lost(const Placement& from, const Placement& to, GpuId gpu) {
  return from.fields().slots_of_gpu[gpu.index()] > 0 && to.fields().slots_of_gpu[gpu.index()] == 0;
}

Result<Migration> migration(const Placement& from, const Placement& to) {
  EVENKEEL_TRY_STATUS(check_same_shape(from, to));
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
        result.copies.push_back({layer, ExpertId(*slot), nearest_source(from, to, layer, *slot, gpu), gpu});
      }
    }
  }
  result.churn = static_cast<double>(moved_slots) / static_cast<double>(to.layers() * to.slots());
  return result;
}

Result<Placement> keep_slots(const Placement& from, const Placement& to) {
  EVENKEEL_TRY_STATUS(check_same_shape(from, to));
  Placement::Fields fields = to.fields();
  for (std::size_t l = 0; l < to.layers(); ++l) {
    std::size_t first = 0;
    for (std::size_t g = 0; g < to.gpus(); ++g) {
      const auto wanted = to.hosted(LayerId(l), GpuId(g));
      const auto source = kept_order(from.hosted(LayerId(l), GpuId(g)), wanted);
      for (std::size_t slot = 0; slot < source.size(); ++slot) {
        fields.expert_of_slot(l, first + slot) = wanted[source[slot]];
        if (fields.shares) (*fields.shares)(l, first + slot) = to.share(LayerId(l), SlotId(first + source[slot]));
      }
      first += source.size();
    }
  }
  return Placement::create(std::move(fields));
}

}  // namespace evenkeel
