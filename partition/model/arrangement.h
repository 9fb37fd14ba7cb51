#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/model/instance.h"

namespace evenkeel {

/// A complete assignment with what a swap costs kept up to date: loads of GPUs, and for every item the traffic it would
/// keep on each GPU and node. swap_gain() takes constant time, swap() a pass over the neighbouring layers.
class Arrangement {
 public:
  Arrangement(const Instance& instance, Assignment assignment);

  [[nodiscard]] const Instance& instance() const { return *instance_; }
  [[nodiscard]] const Assignment& assignment() const { return assignment_; }
  [[nodiscard]] std::size_t gpu_of(std::size_t layer, std::size_t item) const { return assignment_(layer, item); }
  /// Load of each GPU in a layer [gpus], in load units.
  [[nodiscard]] std::span<const std::int64_t> gpu_load(std::size_t layer) const { return gpu_load_[layer]; }

  /// Traffic, weighed as in the objective, that an item would keep off the network on a GPU, all others as they are.
  [[nodiscard]] double affinity(std::size_t layer, std::size_t item, std::size_t gpu) const {
    if (!instance_->has_traffic()) return 0.0;
    const double on_gpu = instance_->gpu_gain * gpu_affinity_[layer](gpu, item);
    if (instance_->nodes == 1) return on_gpu;
    return on_gpu + instance_->node_gain * node_affinity_[layer](instance_->node_of(gpu), item);
  }

  /// By how much swapping the GPUs of two items of a layer lowers communication.
  [[nodiscard]] double swap_gain(std::size_t layer, std::size_t i, std::size_t j) const;
  /// Whether a swap would put two copies of an expert on a GPU, or is of two copies of one expert and changes nothing.
  [[nodiscard]] bool swap_duplicates(std::size_t layer, std::size_t i, std::size_t j) const;
  void swap(std::size_t layer, std::size_t i, std::size_t j);
  /// Moves one item; that every GPU ends with its number of items is the caller's concern.
  void move(std::size_t layer, std::size_t item, std::size_t to);
  /// Copies of an item's expert on a GPU; 0 or 1 without replicas.
  [[nodiscard]] std::size_t copies_on(std::size_t layer, std::size_t item, std::size_t gpu) const {
    if (!instance_->has_replicas()) return assignment_(layer, item) == gpu ? 1 : 0;
    return copies_[layer](instance_->expert_of_item(layer, item), gpu);
  }
  /// Puts every item of a layer where `gpu_of_item` [items] says.
  void assign_layer(std::size_t layer, std::span<const GpuIndex> gpu_of_item);

  /// Step 2's objective; recomputed, not maintained.
  [[nodiscard]] double communication() const { return evenkeel::communication(*instance_, assignment_); }

 private:
  void add_copy(std::size_t layer, std::size_t item, std::size_t gpu, int change);

  const Instance* instance_;
  Assignment assignment_;
  Grid<std::int64_t> gpu_load_;
  /// [layers] of [gpus, items], [layers] of [nodes, items]: contiguous over items, because a swap updates all of them.
  std::vector<Grid<double>> gpu_affinity_;
  std::vector<Grid<double>> node_affinity_;
  /// Copies of an expert on a GPU [layers] of [experts, gpus]; only with replicas.
  std::vector<Grid<std::uint8_t>> copies_;
};

}  // namespace evenkeel
