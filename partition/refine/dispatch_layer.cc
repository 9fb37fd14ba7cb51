#include "partition/refine/dispatch_layer.h"

#include <algorithm>

namespace evenkeel {

DispatchLayer::DispatchLayer(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item)
    : instance_(instance),
      sets_(instance.token_sets[layer]),
      gpu_of_item_(gpu_of_item.size()),
      node_of_item_(gpu_of_item.size()),
      size_of_set_(sets_.size()),
      first_set_(gpu_of_item.size() + 1, 0) {
  const std::size_t items = gpu_of_item.size();
  for (std::size_t set = 0; set < sets_.size(); ++set) {
    const auto real = std::ranges::count_if(sets_.set(set), [](ExpertIndex item) { return item != kNoItem; });
    size_of_set_[set] = static_cast<std::uint8_t>(real);
    for (const ExpertIndex item : items_of(set)) ++first_set_[item + 1U];
  }
  for (std::size_t item = 0; item < items; ++item) first_set_[item + 1] += first_set_[item];
  sets_of_items_.resize(first_set_.back());
  std::vector<std::size_t> next(first_set_.begin(), first_set_.end() - 1);
  for (std::size_t set = 0; set < sets_.size(); ++set) {
    for (const ExpertIndex item : items_of(set)) sets_of_items_[next[item]++] = static_cast<std::uint32_t>(set);
  }
  const auto reset = [&](Tier& tier, std::size_t parts) {
    tier.pins = Grid<std::uint8_t>(sets_.size(), parts);
    tier.absent = Grid<std::int32_t>(parts, items);
    tier.alone.assign(items, 0);
    tier.alone_with = Grid<std::int32_t>(items, items);
    for (std::size_t part = 0; part < parts; ++part) {
      for (std::size_t set = 0; set < sets_.size(); ++set)
        count_absent(tier, set, part, static_cast<std::int32_t>(sets_.tokens[set]));
    }
  };
  reset(gpus_, instance.gpus);
  if (instance.nodes > 1) reset(nodes_, instance.nodes);
  for (std::size_t item = 0; item < items; ++item) {
    gpu_of_item_[item] = gpu_of_item[item];
    node_of_item_[item] = static_cast<GpuIndex>(instance.node_of(gpu_of_item[item]));
  }
  // add() looks only at the items of the sets that are already there through the counts of pins.
  for (std::size_t item = 0; item < items; ++item) {
    for (std::size_t at = first_set_[item]; at < first_set_[item + 1]; ++at) {
      add(gpus_, sets_of_items_[at], gpu_of_item_[item], item, gpu_of_item_);
      if (instance.nodes > 1) add(nodes_, sets_of_items_[at], node_of_item_[item], item, node_of_item_);
    }
  }
}

std::int32_t DispatchLayer::gain(const Tier& tier, std::size_t a, std::size_t b, std::size_t i, std::size_t j) {
  return tier.alone[i] - tier.absent(b, i) + tier.alone[j] - tier.absent(a, j) - tier.alone_with(i, j) -
         tier.alone_with(j, i);
}

double DispatchLayer::swap_gain(std::size_t i, std::size_t j) const {
  const double on_gpus = gain(gpus_, gpu_of_item_[i], gpu_of_item_[j], i, j);
  if (instance_.nodes == 1 || node_of_item_[i] == node_of_item_[j]) return instance_.gpu_gain * on_gpus;
  return instance_.gpu_gain * on_gpus +
         instance_.node_gain * gain(nodes_, node_of_item_[i], node_of_item_[j], i, j);
}

void DispatchLayer::swap(std::size_t i, std::size_t j) {
  const std::size_t a = gpu_of_item_[i];
  const std::size_t b = gpu_of_item_[j];
  move(i, b);
  move(j, a);
}

void DispatchLayer::move(std::size_t item, std::size_t to) {
  const std::size_t from = gpu_of_item_[item];
  const std::size_t from_node = node_of_item_[item];
  const std::size_t to_node = instance_.node_of(to);
  gpu_of_item_[item] = static_cast<GpuIndex>(to);
  node_of_item_[item] = static_cast<GpuIndex>(to_node);
  for (std::size_t at = first_set_[item]; at < first_set_[item + 1]; ++at) {
    const std::size_t set = sets_of_items_[at];
    remove(gpus_, set, from, item, gpu_of_item_);
    add(gpus_, set, to, item, gpu_of_item_);
    if (instance_.nodes == 1 || from_node == to_node) continue;
    remove(nodes_, set, from_node, item, node_of_item_);
    add(nodes_, set, to_node, item, node_of_item_);
  }
}

void DispatchLayer::add(Tier& tier, std::size_t set, std::size_t part, std::size_t item,
                        std::span<const GpuIndex> part_of_item) {
  const auto tokens = static_cast<std::int32_t>(sets_.tokens[set]);
  const std::uint8_t pins = tier.pins(set, part)++;
  if (pins == 0) {
    count_absent(tier, set, part, -tokens);
    count_alone(tier, set, item, tokens);
  } else if (pins == 1) {
    for (const ExpertIndex other : items_of(set)) {
      if (other != item && part_of_item[other] == part) {
        count_alone(tier, set, other, -tokens);
        break;
      }
    }
  }
}

void DispatchLayer::remove(Tier& tier, std::size_t set, std::size_t part, std::size_t item,
                           std::span<const GpuIndex> part_of_item) {
  const auto tokens = static_cast<std::int32_t>(sets_.tokens[set]);
  const std::uint8_t pins = --tier.pins(set, part);
  if (pins == 0) {
    count_absent(tier, set, part, tokens);
    count_alone(tier, set, item, -tokens);
  } else if (pins == 1) {
    for (const ExpertIndex other : items_of(set)) {
      if (part_of_item[other] == part) {
        count_alone(tier, set, other, tokens);
        break;
      }
    }
  }
}

void DispatchLayer::count_alone(Tier& tier, std::size_t set, std::size_t item, std::int32_t tokens) {
  tier.alone[item] += tokens;
  auto row = tier.alone_with[item];
  for (const ExpertIndex other : items_of(set)) row[other] += tokens;
}

void DispatchLayer::count_absent(Tier& tier, std::size_t set, std::size_t part, std::int32_t tokens) {
  auto row = tier.absent[part];
  for (const ExpertIndex item : items_of(set)) row[item] += tokens;
}

}  // namespace evenkeel
