#include "partition/baseline/eplb.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace evenkeel {
namespace {

using Indices = std::vector<std::size_t>;

std::vector<std::size_t> heaviest_first(const std::vector<float>& weight) {
  Indices order(weight.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t item) { return weight[item]; });
  return order;
}

/// Packs items into packs of equal count, heaviest first to the lightest pack with room. Returns the items in pack
/// order: pack p holds positions p * n / packs and on.
Indices balanced_packing(const std::vector<float>& weight, std::size_t packs) {
  const std::size_t per_pack = weight.size() / packs;
  Indices item_at(weight.size());
  if (per_pack == 1) {
    std::iota(item_at.begin(), item_at.end(), std::size_t{0});
    return item_at;
  }
  std::vector<float> pack_weight(packs, 0.0F);
  Indices pack_items(packs, 0);
  for (const std::size_t item : heaviest_first(weight)) {
    std::size_t lightest = packs;
    for (std::size_t pack = 0; pack < packs; ++pack) {
      if (pack_items[pack] == per_pack) continue;
      if (lightest == packs || pack_weight[pack] < pack_weight[lightest]) lightest = pack;
    }
    item_at[lightest * per_pack + pack_items[lightest]++] = item;
    pack_weight[lightest] += weight[item];
  }
  return item_at;
}

struct Replicas {
  /// Expert of each physical copy: the first n are the experts themselves.
  Indices expert_of_copy;
  std::vector<float> copies_of_expert;
};

Replicas replicate_experts(const std::vector<float>& weight, std::size_t copies) {
  Replicas replicas{Indices(copies), std::vector<float>(weight.size(), 1.0F)};
  std::iota(replicas.expert_of_copy.begin(),
            replicas.expert_of_copy.begin() + static_cast<std::ptrdiff_t>(weight.size()), std::size_t{0});
  for (std::size_t copy = weight.size(); copy < copies; ++copy) {
    std::size_t hottest = 0;
    for (std::size_t expert = 1; expert < weight.size(); ++expert) {
      if (weight[expert] / replicas.copies_of_expert[expert] > weight[hottest] / replicas.copies_of_expert[hottest])
        hottest = expert;
    }
    replicas.expert_of_copy[copy] = hottest;
    replicas.copies_of_expert[hottest] += 1.0F;
  }
  return replicas;
}

/// One layer: the expert of each slot.
std::vector<ExpertIndex> place_layer(const std::vector<float>& weight, std::size_t groups, std::size_t nodes,
                                     std::size_t gpus, std::size_t slots) {
  const std::size_t group_size = weight.size() / groups;
  std::vector<float> group_weight(groups, 0.0F);
  for (std::size_t expert = 0; expert < weight.size(); ++expert) group_weight[expert / group_size] += weight[expert];
  const Indices group_at = balanced_packing(group_weight, nodes);
  std::vector<ExpertIndex> row;
  const std::size_t groups_per_node = groups / nodes;
  for (std::size_t node = 0; node < nodes; ++node) {
    Indices expert_of_local;
    std::vector<float> local_weight;
    for (std::size_t position = node * groups_per_node; position < (node + 1) * groups_per_node; ++position) {
      for (std::size_t member = 0; member < group_size; ++member) {
        expert_of_local.push_back(group_at[position] * group_size + member);
        local_weight.push_back(weight[expert_of_local.back()]);
      }
    }
    const Replicas replicas = replicate_experts(local_weight, slots / nodes);
    std::vector<float> copy_weight;
    for (const std::size_t local : replicas.expert_of_copy)
      copy_weight.push_back(local_weight[local] / replicas.copies_of_expert[local]);
    for (const std::size_t copy : balanced_packing(copy_weight, gpus / nodes)) {
      row.push_back(static_cast<ExpertIndex>(expert_of_local[replicas.expert_of_copy[copy]]));
    }
  }
  return row;
}

/// Groups packed to nodes; one of each packs globally.
Result<Placement> placed(const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant,
                         std::size_t groups, std::size_t nodes) {
  const std::size_t experts = profile.shape.experts;
  EVENKEEL_TRY(slots_per_gpu, equal_slots_per_gpu(experts, redundant, cluster.gpus));
  const Grid<std::uint64_t> load = profile.total_load();
  Grid<ExpertIndex> map(load.rows(), experts + redundant);
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    const std::vector<float> weight(load[layer].begin(), load[layer].end());
    std::ranges::copy(place_layer(weight, groups, nodes, cluster.gpus, map.cols()), map[layer].begin());
  }
  return Placement::create({.layer_ids = profile.shape.layer_ids,
                            .experts = experts,
                            .nodes = cluster.nodes,
                            .slots_of_gpu = std::vector<std::uint32_t>(cluster.gpus, slots_per_gpu),
                            .expert_of_slot = std::move(map),
                            .shares = std::nullopt});
}

}  // namespace

Result<Placement> eplb_placement(const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant) {
  return placed(profile, cluster, redundant, 1, 1);
}

Result<Placement> eplb_hierarchical_placement(const RoutingProfile& profile, const Cluster& cluster,
                                              std::size_t redundant, std::size_t groups) {
  if (groups % cluster.nodes == 0) return placed(profile, cluster, redundant, groups, cluster.nodes);
  return invalid_input(
      fmt::format("eplb-hierarchical packs groups of experts to nodes, and {} group{} not divide over {} nodes; give "
                  "the model's groups, a number that the nodes divide, or strategy eplb, which is global",
                  groups, groups == 1 ? " does" : "s do", cluster.nodes),
      {"groups"});
}

}  // namespace evenkeel
