#include "partition/warmstart/lpt.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "partition/foundation/check.h"
#include "partition/foundation/parallel.h"

namespace evenkeel {
namespace {

/// One layer's GPUs while they fill up.
class Packing {
 public:
  Packing(const Instance& instance, std::size_t layer, std::span<GpuIndex> gpu_of_item)
      : instance_(instance),
        load_units_(instance.load_units[layer]),
        experts_(instance.expert_of_item[layer]),
        gpu_of_item_(gpu_of_item),
        load_(instance.gpus, 0),
        free_slots_(instance.gpus, instance.slots_per_gpu()) {
    if (instance.has_replicas()) copies_ = Grid<std::uint8_t>(instance.experts, instance.gpus);
  }

  /// Items come once each, copies of an expert one after the other.
  void place(std::size_t item) {
    std::optional<std::size_t> best;
    for (std::size_t gpu = 0; gpu < load_.size(); ++gpu) {
      if (free_slots_[gpu] == 0 || (best && load_[gpu] >= load_[*best]) || holds(gpu, item)) continue;
      best = gpu;
    }
    put(item, best ? *best : make_room(item));
    placed_.push_back(item);
  }

 private:
  [[nodiscard]] bool holds(std::size_t gpu, std::size_t item) const {
    return instance_.has_replicas() && copies_(experts_[item], gpu) > 0;
  }

  void put(std::size_t item, std::size_t gpu) {
    gpu_of_item_[item] = static_cast<GpuIndex>(gpu);
    load_[gpu] += load_units_[item];
    --free_slots_[gpu];
    if (instance_.has_replicas()) ++copies_(experts_[item], gpu);
  }

  void take_out(std::size_t item) {
    const std::size_t gpu = gpu_of_item_[item];
    load_[gpu] -= load_units_[item];
    ++free_slots_[gpu];
    --copies_(experts_[item], gpu);
  }

  /// Only GPUs that hold a copy have slots left: moves a lighter item of another GPU there and returns that GPU.
  std::size_t make_room(std::size_t item) {
    std::size_t open = 0;
    while (free_slots_[open] == 0) ++open;
    for (std::size_t gpu = 0; gpu < load_.size(); ++gpu) {
      if (gpu == open || holds(gpu, item)) continue;
      for (const std::size_t candidate : placed_) {
        if (gpu_of_item_[candidate] != gpu || holds(open, candidate)) continue;
        take_out(candidate);
        put(candidate, open);
        return gpu;
      }
    }
    EVENKEEL_CHECK(false, "copies of an expert are at most the GPUs, so a swap always exists");
  }

  const Instance& instance_;
  std::span<const std::int64_t> load_units_;
  std::span<const ExpertIndex> experts_;
  std::span<GpuIndex> gpu_of_item_;
  std::vector<std::int64_t> load_;
  std::vector<std::size_t> free_slots_;
  std::vector<std::size_t> placed_;
  /// Copies of each expert on each GPU [experts, gpus]; only with replicas.
  Grid<std::uint8_t> copies_;
};

std::vector<std::size_t> heaviest_first(const Instance& instance, std::size_t layer) {
  std::vector<std::pair<std::int64_t, std::size_t>> order;
  for (std::size_t item = 0; item < instance.items(); ++item)
    order.emplace_back(-instance.load_units(layer, item), item);
  std::ranges::sort(order);
  std::vector<std::size_t> items(order.size());
  std::ranges::transform(order, items.begin(), &std::pair<std::int64_t, std::size_t>::second);
  return items;
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

Assignment lpt_assignment(const Instance& instance, std::size_t threads) {
  Assignment assignment(instance.layers(), instance.items());
  for_each_item(instance.layers(), threads, [&](std::size_t layer) {
    Packing packing(instance, layer, assignment[layer]);
    for (const std::size_t item : heaviest_first(instance, layer)) packing.place(item);
  });
  return assignment;
}

}  // namespace evenkeel
