#include "partition/warmstart/lpt.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "partition/model/check.h"

namespace evenkeel {
namespace {

/// One layer's GPUs while they fill up.
class Packing {
 public:
  Packing(const Instance& instance, std::size_t layer)
      : instance_(instance), layer_(layer), load_(instance.gpus, 0), items_(instance.gpus) {}

  void place(std::size_t item) {
    std::optional<std::size_t> best;
    for (std::size_t gpu = 0; gpu < instance_.gpus; ++gpu) {
      if (items_[gpu].size() == instance_.slots_per_gpu() || holds(gpu, item)) continue;
      if (!best || load_[gpu] < load_[*best]) best = gpu;
    }
    put(item, best ? *best : make_room(item));
  }

  [[nodiscard]] const std::vector<std::vector<std::size_t>>& items() const { return items_; }

 private:
  [[nodiscard]] bool holds(std::size_t gpu, std::size_t item) const {
    const auto expert = instance_.expert_of_item(layer_, item);
    return std::ranges::any_of(items_[gpu],
                               [&](std::size_t other) { return instance_.expert_of_item(layer_, other) == expert; });
  }

  void put(std::size_t item, std::size_t gpu) {
    items_[gpu].push_back(item);
    load_[gpu] += instance_.load_units(layer_, item);
  }

  /// Only GPUs that hold a copy have slots left: moves a lighter item of another GPU there and returns that GPU.
  std::size_t make_room(std::size_t item) {
    std::size_t open = 0;
    while (items_[open].size() == instance_.slots_per_gpu()) ++open;
    for (std::size_t gpu = 0; gpu < instance_.gpus; ++gpu) {
      if (gpu == open || holds(gpu, item)) continue;
      for (auto& candidate : items_[gpu]) {
        if (holds(open, candidate)) continue;
        const std::size_t moved = candidate;
        candidate = items_[gpu].back();
        items_[gpu].pop_back();
        load_[gpu] -= instance_.load_units(layer_, moved);
        put(moved, open);
        return gpu;
      }
    }
    EVENKEEL_CHECK(false, "copies of an expert are at most the GPUs, so a swap always exists");
  }

  const Instance& instance_;
  std::size_t layer_;
  std::vector<std::int64_t> load_;
  std::vector<std::vector<std::size_t>> items_;
};

std::vector<std::size_t> heaviest_first(const Instance& instance, std::size_t layer) {
  std::vector<std::size_t> order(instance.items());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](std::size_t item) { return instance.load_units(layer, item); });
  return order;
}

}  // namespace

Assignment lpt_within_nodes(const Instance& instance, const Assignment& node_of_item) {
  Assignment assignment(instance.layers(), instance.items());
  const std::size_t gpus = instance.gpus_per_node();
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    std::vector<std::int64_t> load(instance.gpus, 0);
    std::vector<std::size_t> items(instance.gpus, 0);
    for (const std::size_t item : heaviest_first(instance, layer)) {
      const std::size_t first = node_of_item(layer, item) * gpus;
      std::size_t best = first;
      for (std::size_t gpu = first; gpu < first + gpus; ++gpu) {
        const bool is_full = items[best] == instance.slots_per_gpu();
        if (items[gpu] < instance.slots_per_gpu() && (is_full || load[gpu] < load[best])) best = gpu;
      }
      assignment(layer, item) = static_cast<GpuIndex>(best);
      load[best] += instance.load_units(layer, item);
      ++items[best];
    }
  }
  return assignment;
}

Assignment lpt_assignment(const Instance& instance) {
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    Packing packing(instance, layer);
    for (const std::size_t item : heaviest_first(instance, layer)) packing.place(item);
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) {
      for (const std::size_t item : packing.items()[gpu]) assignment(layer, item) = static_cast<GpuIndex>(gpu);
    }
  }
  return assignment;
}

}  // namespace evenkeel
