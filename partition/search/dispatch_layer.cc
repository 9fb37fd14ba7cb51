#include "partition/search/dispatch_layer.h"

#include <algorithm>
#include <numeric>

namespace evenkeel {

DispatchLayer::DispatchLayer(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item)
    : instance_(instance),
      layer_(layer),
      sets_(instance.token_sets[layer]),
      share_of_token_(
          sets_.total_tokens == 0 ? 0.0 : static_cast<double>(sets_.rounds) / static_cast<double>(sets_.total_tokens)),
      gpu_of_item_(gpu_of_item.begin(), gpu_of_item.end()),
      node_of_item_(gpu_of_item.size()),
      gpu_load_(instance.gpus, 0),
      size_of_set_(sets_.size()),
      first_set_(gpu_of_item.size() + 1, 0) {
  std::ranges::transform(gpu_of_item_, node_of_item_.begin(),
                         [&](GpuIndex gpu) { return static_cast<GpuIndex>(instance.node_of(gpu)); });
  index_sets();
  gpus_ = empty_tier(instance.gpus);
  if (instance.nodes > 1) nodes_ = empty_tier(instance.nodes);
  if (instance.has_replicas()) copies_ = Grid<std::uint8_t>(instance.experts, instance.gpus);
  // Items of a set arrive in ascending order, as add() expects.
  for (std::size_t item = 0; item < items(); ++item) {
    gpu_load_[gpu_of_item_[item]] += load_units(item);
    if (instance.has_replicas()) ++copies_(instance.expert_of_item(layer, item), gpu_of_item_[item]);
    for (std::size_t at = first_set_[item]; at < first_set_[item + 1]; ++at) {
      add(gpus_, sets_of_items_[at], gpu_of_item_[item], item, gpu_of_item_);
      if (instance.nodes > 1) add(nodes_, sets_of_items_[at], node_of_item_[item], item, node_of_item_);
    }
  }
}

void DispatchLayer::index_sets() {
  for (std::size_t set = 0; set < sets_.size(); ++set) {
    const auto real = std::ranges::count_if(sets_.set(set), [](ExpertIndex item) { return item != kNoItem; });
    size_of_set_[set] = static_cast<std::uint8_t>(real);
    for (const ExpertIndex item : items_of(set)) ++first_set_[item + 1U];
  }
  std::partial_sum(first_set_.begin(), first_set_.end(), first_set_.begin());
  sets_of_items_.resize(first_set_.back());
  std::vector<std::size_t> next(first_set_.begin(), first_set_.end() - 1);
  for (std::size_t set = 0; set < sets_.size(); ++set) {
    for (const ExpertIndex item : items_of(set)) sets_of_items_[next[item]++] = static_cast<std::uint32_t>(set);
  }
}

DispatchLayer::Tier DispatchLayer::empty_tier(std::size_t parts) const {
  Tier tier{Grid<std::uint8_t>(sets_.size(), parts), Grid<std::int32_t>(parts, items()),
            std::vector<std::int32_t>(items(), 0), Grid<std::int32_t>(items(), items()),
            std::vector<std::int64_t>(parts, 0)};
  for (std::size_t set = 0; set < sets_.size(); ++set) {
    for (const ExpertIndex item : items_of(set)) tier.absent(0, item) += static_cast<std::int32_t>(sets_.tokens[set]);
  }
  for (std::size_t part = 1; part < parts; ++part) std::ranges::copy(tier.absent[0], tier.absent[part].begin());
  return tier;
}

bool DispatchLayer::swap_duplicates(std::size_t i, std::size_t j) const {
  if (!instance_.has_replicas()) return false;
  const auto expert_i = instance_.expert_of_item(layer_, i);
  const auto expert_j = instance_.expert_of_item(layer_, j);
  return expert_i == expert_j || copies_(expert_i, gpu_of_item_[j]) > 0 || copies_(expert_j, gpu_of_item_[i]) > 0;
}

std::int32_t DispatchLayer::gain(const Tier& tier, std::size_t a, std::size_t b, std::size_t i, std::size_t j) {
  const auto [of_a, of_b] = change(tier, a, b, i, j);
  return -of_a - of_b;
}

double DispatchLayer::swap_gain(std::size_t i, std::size_t j) const {
  double fewer = instance_.gpu_gain * gain(gpus_, gpu_of_item_[i], gpu_of_item_[j], i, j);
  if (instance_.nodes > 1 && node_of_item_[i] != node_of_item_[j])
    fewer += instance_.node_gain * gain(nodes_, node_of_item_[i], node_of_item_[j], i, j);
  return fewer * share_of_token_;
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
  gpu_load_[from] -= load_units(item);
  gpu_load_[to] += load_units(item);
  if (instance_.has_replicas()) {
    --copies_(instance_.expert_of_item(layer_, item), from);
    ++copies_(instance_.expert_of_item(layer_, item), to);
  }
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
    tier.touching[part] += tokens;
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
    tier.touching[part] -= tokens;
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
