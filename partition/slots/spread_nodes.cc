#include "partition/slots/spread_nodes.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace evenkeel {
namespace {

class NodeSpread {
 public:
  NodeSpread(const ReplanLayer& layer, std::size_t nodes)
      : slots_(layer, layer.running), nodes_(nodes), gpus_per_node_(layer.gpus / nodes) {}

  [[nodiscard]] const ReplanSlots& slots() const { return slots_; }

  /// Brings a copy of an expert to another node, where one exchange can.
  void spread(std::size_t expert) {
    if (is_spread(expert)) return;
    std::optional<std::pair<std::size_t, std::size_t>> best;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (std::size_t p = 0; p < slots_.slots(); ++p) {
      if (slots_.expert_of(p) != expert) continue;
      for (std::size_t q = 0; q < slots_.slots(); ++q) {
        const std::size_t other = slots_.expert_of(q);
        if (node_of(slots_.gpu_of(q)) == node_of(slots_.gpu_of(p)) || !slots_.can_swap(p, q)) continue;
        slots_.swap(p, q);
        if (is_spread(other) && slots_.largest_load() < least) {
          least = slots_.largest_load();
          best = {p, q};
        }
        slots_.swap(p, q);
      }
    }
    if (best) slots_.swap(best->first, best->second);
  }

 private:
  [[nodiscard]] std::size_t node_of(std::size_t gpu) const { return gpu / gpus_per_node_; }
  [[nodiscard]] bool is_spread(std::size_t expert) const { return is_on_two_nodes(slots_, expert, nodes_); }

  ReplanSlots slots_;
  std::size_t nodes_;
  std::size_t gpus_per_node_;
};

}  // namespace

bool is_on_two_nodes(const ReplanSlots& slots, std::size_t expert, std::size_t nodes) {
  const std::size_t gpus_per_node = slots.layer().gpus / nodes;
  const auto holders = slots.holders(expert);
  return holders.size() < 2 || std::ranges::any_of(holders, [&](GpuIndex gpu) {
           return gpu / gpus_per_node != holders.front() / gpus_per_node;
         });
}

Grid<ExpertIndex> spread_over_nodes(std::span<const ReplanLayer> layers, std::size_t nodes) {
  Grid<ExpertIndex> rows(layers.size(), layers.front().running.size());
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    NodeSpread spread(layers[layer], nodes);
    for (std::size_t expert = 0; expert < layers[layer].load_units.size(); ++expert) spread.spread(expert);
    std::ranges::copy(spread.slots().expert_of_slot(), rows[layer].begin());
  }
  return rows;
}

}  // namespace evenkeel
