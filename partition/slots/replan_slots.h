#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// What is given of one layer when its slots are filled anew.
struct ReplanLayer {
  std::size_t gpus = 1;
  /// GPU of each slot, ascending [slots].
  std::vector<GpuIndex> gpu_of_slot;
  /// Load of each expert, over all of its copies, in load units [experts].
  std::vector<std::int64_t> load_units;
  /// Load that each copy brings where an expert has 1, 2, ... of them [experts, copies]; empty: its load in equal
  /// parts.
  Grid<std::int64_t> copy_units;
  /// Time that a unit of load takes on each GPU, relative to one another [gpus]; empty: the same on all.
  std::vector<double> slowness;
  /// The expert in each slot to begin with [slots].
  std::vector<ExpertIndex> running;
  /// Whether a GPU holds an expert in the running placement [experts, gpus]; empty: what `running` tells.
  Grid<std::uint8_t> held;

  /// Load, weighed by slowness, of a GPU if all had the same; 1 for a layer without load, so that ratios to it are
  /// defined.
  [[nodiscard]] double mean_units() const;
};

/// The slots of one layer while they are filled anew: loads of GPUs with an even split over replicas, and the moves
/// from the running placement, kept up to date. A move is a slot whose GPU did not hold the slot's expert.
class ReplanSlots {
 public:
  /// Begins with `expert_of_slot` [slots], which may hold an expert twice on a GPU. The layer must outlive it.
  ReplanSlots(const ReplanLayer& layer, std::span<const ExpertIndex> expert_of_slot);

  [[nodiscard]] const ReplanLayer& layer() const { return *layer_; }
  [[nodiscard]] std::span<const ExpertIndex> expert_of_slot() const { return expert_of_slot_; }
  [[nodiscard]] std::size_t slots() const { return expert_of_slot_.size(); }
  [[nodiscard]] std::size_t gpu_of(std::size_t slot) const { return layer_->gpu_of_slot[slot]; }
  [[nodiscard]] std::size_t expert_of(std::size_t slot) const { return expert_of_slot_[slot]; }
  /// Load of each GPU, weighed by its slowness [gpus].
  [[nodiscard]] std::span<const std::int64_t> gpu_load() const { return gpu_load_; }
  [[nodiscard]] std::int64_t largest_load() const;
  [[nodiscard]] std::size_t moves() const { return moves_; }
  [[nodiscard]] std::size_t copies(std::size_t expert) const { return holders_[expert].size(); }
  /// GPUs that hold an expert, once for each copy, in no order.
  [[nodiscard]] std::span<const GpuIndex> holders(std::size_t expert) const { return holders_[expert]; }
  [[nodiscard]] bool holds(std::size_t gpu, std::size_t expert) const { return copies_on_gpu_(expert, gpu) > 0; }
  /// Whether a GPU held an expert in the running placement.
  [[nodiscard]] bool held(std::size_t gpu, std::size_t expert) const { return held_(expert, gpu) != 0; }
  /// Load that a copy of an expert brings where there are so many of them, on a GPU of slowness 1.
  [[nodiscard]] std::int64_t share_units(std::size_t expert, std::size_t copies) const {
    if (!layer_->copy_units.empty()) return layer_->copy_units(expert, copies - 1);
    return copies == 1 ? layer_->load_units[expert] : layer_->load_units[expert] / static_cast<std::int64_t>(copies);
  }
  /// The same on one GPU, weighed by its slowness.
  [[nodiscard]] std::int64_t units_on(std::size_t gpu, std::size_t expert, std::size_t copies) const {
    const std::int64_t units = share_units(expert, copies);
    return weighed_units(units, layer_->slowness, gpu);
  }
  [[nodiscard]] std::int64_t units_on(std::size_t gpu, std::size_t expert) const {
    return units_on(gpu, expert, copies(expert));
  }
  [[nodiscard]] std::int64_t share_units(std::size_t expert) const { return share_units(expert, copies(expert)); }

  /// Whether two slots can exchange their experts: they are of two GPUs, and neither holds the other's expert.
  [[nodiscard]] bool can_swap(std::size_t p, std::size_t q) const;
  /// By how much swap() changes moves().
  [[nodiscard]] int swap_moves(std::size_t p, std::size_t q) const;
  void swap(std::size_t p, std::size_t q);

  /// Whether a slot can give up its copy of a replicated expert for a copy of another.
  [[nodiscard]] bool can_replace(std::size_t slot, std::size_t expert) const {
    return copies(expert_of(slot)) > 1 && !holds(gpu_of(slot), expert);
  }
  /// By how much replace() changes moves().
  [[nodiscard]] int replace_moves(std::size_t slot, std::size_t expert) const;
  void replace(std::size_t slot, std::size_t expert);

  /// Slots that hold an expert their GPU holds in a slot before [ascending].
  [[nodiscard]] std::vector<std::size_t> duplicate_slots() const;

 private:
  void take(std::size_t slot);
  void put(std::size_t slot, std::size_t expert);

  const ReplanLayer* layer_;
  std::vector<ExpertIndex> expert_of_slot_;
  std::vector<std::int64_t> gpu_load_;
  std::vector<std::vector<GpuIndex>> holders_;
  /// [experts, gpus]
  Grid<std::uint16_t> copies_on_gpu_;
  Grid<std::uint8_t> held_;
  std::size_t moves_ = 0;
};

}  // namespace evenkeel
