#include "partition/cost/serving.h"

#include <algorithm>

namespace evenkeel {

ServingTable::ServingTable(const Placement& placement) : experts_(placement.experts()) {
  first_.push_back(0);
  std::vector<std::vector<ServingGpu>> of_expert(experts_);
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    for (auto& list : of_expert) list.clear();
    const auto row = placement.row(LayerId(layer));
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      const auto gpu = static_cast<std::uint32_t>(placement.gpu_of(SlotId(slot)).index());
      const double share = placement.share(LayerId(layer), SlotId(slot));
      auto& list = of_expert[row[slot]];
      if (!list.empty() && list.back().gpu == gpu) {
        list.back().share += share;
      } else {
        list.push_back({gpu, share});
      }
    }
    for (const auto& list : of_expert) {
      entries_.insert(entries_.end(), list.begin(), list.end());
      first_.push_back(entries_.size());
    }
  }
}

TokenSpread::TokenSpread(const ServingTable& table, std::size_t gpus, std::size_t nodes)
    : table_(&table),
      gpus_per_node_(gpus / nodes),
      gpu_share_(gpus),
      node_share_(nodes),
      gpu_touched_(gpus),
      node_touched_(nodes),
      expert_on_node_(nodes) {}

void TokenSpread::assign(std::size_t layer, std::span<const ExpertIndex> chosen) {
  experts_ = 0;
  std::ranges::fill(gpu_share_, 0.0);
  std::ranges::fill(node_share_, 0.0);
  std::ranges::fill(gpu_touched_, 0.0);
  std::ranges::fill(node_touched_, 0.0);
  for (const ExpertIndex expert : chosen) {
    if (expert == kNoExpert) continue;
    ++experts_;
    const auto serving = table_->of(layer, expert);
    for (const auto& [gpu, share] : serving) {
      gpu_share_[gpu] += share;
      gpu_touched_[gpu] += share * (1.0 - gpu_touched_[gpu]);
      expert_on_node_[gpu / gpus_per_node_] += share;
    }
    for (const auto& [gpu, share] : serving) {
      double& on_node = expert_on_node_[gpu / gpus_per_node_];
      node_share_[gpu / gpus_per_node_] += on_node;
      node_touched_[gpu / gpus_per_node_] += on_node * (1.0 - node_touched_[gpu / gpus_per_node_]);
      on_node = 0.0;
    }
  }
  if (experts_ == 0) return;
  const double scale = 1.0 / static_cast<double>(experts_);
  for (double& share : gpu_share_) share *= scale;
  for (double& share : node_share_) share *= scale;
}

}  // namespace evenkeel
