#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// One layer under dispatch communication: which GPUs and nodes the tokens' sets of items touch, with what a swap
/// changes kept up to date in tables, so that swap_gain() takes constant time and is exact. A swap visits every set
/// that holds one of its two items. All counts are tokens.
class DispatchLayer {
 public:
  DispatchLayer(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item);

  [[nodiscard]] std::size_t items() const { return gpu_of_item_.size(); }
  [[nodiscard]] std::span<const GpuIndex> gpu_of_item() const { return gpu_of_item_; }
  [[nodiscard]] std::size_t gpu_of(std::size_t item) const { return gpu_of_item_[item]; }
  [[nodiscard]] std::int64_t load_units(std::size_t item) const { return instance_.load_units(layer_, item); }
  /// [gpus], in load units.
  [[nodiscard]] std::span<const std::int64_t> gpu_load() const { return gpu_load_; }
  /// By how much swapping the GPUs of two items lowers communication(): shares of a round.
  [[nodiscard]] double swap_gain(std::size_t i, std::size_t j) const;
  /// Tokens that touch each GPU [gpus], and each node [nodes]; of nodes only where there are several.
  [[nodiscard]] std::span<const std::int64_t> tokens_of_gpu() const { return gpus_.touching; }
  [[nodiscard]] std::span<const std::int64_t> tokens_of_node() const { return nodes_.touching; }
  /// By how many tokens a swap changes those of i's and of j's GPU, or node. Nodes must differ.
  [[nodiscard]] std::pair<std::int32_t, std::int32_t> gpu_change(std::size_t i, std::size_t j) const {
    return change(gpus_, gpu_of_item_[i], gpu_of_item_[j], i, j);
  }
  [[nodiscard]] std::pair<std::int32_t, std::int32_t> node_change(std::size_t i, std::size_t j) const {
    return change(nodes_, node_of_item_[i], node_of_item_[j], i, j);
  }
  /// Whether a swap would put two copies of an expert on a GPU, or is of two copies of one expert.
  [[nodiscard]] bool swap_duplicates(std::size_t i, std::size_t j) const;
  void swap(std::size_t i, std::size_t j);
  /// Sets that a swap visits for one of its items, on average.
  [[nodiscard]] std::size_t sets_per_item() const { return sets_of_items_.size() / items(); }
  /// The layer's part of communication(); recomputed, not maintained.
  [[nodiscard]] double cost() const { return layer_dispatch(instance_, layer_, gpu_of_item_); }

 private:
  /// Sets against one tier: GPUs, or nodes.
  struct Tier {
    /// Items of each set on each part [sets, parts].
    Grid<std::uint8_t> pins;
    /// Tokens of an item's sets that have nothing on a part [parts, items]: what its arrival would add.
    Grid<std::int32_t> absent;
    /// Tokens of an item's sets that have nothing else on its part [items]: what its departure would save.
    std::vector<std::int32_t> alone;
    /// Those of them that hold a second item too [items, items].
    Grid<std::int32_t> alone_with;
    /// Tokens that have anything on a part [parts].
    std::vector<std::int64_t> touching;
  };

  [[nodiscard]] Tier empty_tier(std::size_t parts) const;
  void index_sets();
  void add(Tier& tier, std::size_t set, std::size_t part, std::size_t item, std::span<const GpuIndex> part_of_item);
  void remove(Tier& tier, std::size_t set, std::size_t part, std::size_t item, std::span<const GpuIndex> part_of_item);
  void count_alone(Tier& tier, std::size_t set, std::size_t item, std::int32_t tokens);
  void count_absent(Tier& tier, std::size_t set, std::size_t part, std::int32_t tokens);
  void move(std::size_t item, std::size_t to);
  [[nodiscard]] static std::pair<std::int32_t, std::int32_t> change(const Tier& tier, std::size_t a, std::size_t b,
                                                                    std::size_t i, std::size_t j) {
    return {tier.absent(a, j) - tier.alone[i] + tier.alone_with(i, j),
            tier.absent(b, i) - tier.alone[j] + tier.alone_with(j, i)};
  }
  [[nodiscard]] static std::int32_t gain(const Tier& tier, std::size_t a, std::size_t b, std::size_t i, std::size_t j);
  [[nodiscard]] std::span<const ExpertIndex> items_of(std::size_t set) const {
    return {sets_.items.data() + set * sets_.width, size_of_set_[set]};
  }

  const Instance& instance_;
  std::size_t layer_;
  const TokenSets& sets_;
  /// Shares of a round in one token.
  double share_of_token_;
  std::vector<GpuIndex> gpu_of_item_;
  std::vector<GpuIndex> node_of_item_;
  std::vector<std::int64_t> gpu_load_;
  /// Copies of each expert on each GPU [experts, gpus]; only with replicas.
  Grid<std::uint8_t> copies_;
  std::vector<std::uint8_t> size_of_set_;
  /// Sets that hold each item, one after the other, and where each item's begin [items + 1].
  std::vector<std::uint32_t> sets_of_items_;
  std::vector<std::size_t> first_set_;
  Tier gpus_;
  Tier nodes_;
};

}  // namespace evenkeel
