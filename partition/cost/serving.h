#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/model/placement.h"

namespace evenkeel {

/// A GPU that serves a share of an expert's tokens.
struct ServingGpu {
  std::uint32_t gpu;
  double share;
};

/// Which GPUs serve each expert, and how much of it; slots of one GPU are joined.
class ServingTable {
 public:
  explicit ServingTable(const Placement& placement);
  [[nodiscard]] std::span<const ServingGpu> of(std::size_t layer, std::size_t expert) const {
    const std::size_t cell = layer * experts_ + expert;
    return {entries_.data() + first_[cell], first_[cell + 1] - first_[cell]};
  }

 private:
  std::size_t experts_;
  std::vector<ServingGpu> entries_;
  std::vector<std::size_t> first_;
};

/// Where the experts of one token in one round lie, replicas by the expected value of their split; reused over tokens.
class TokenSpread {
 public:
  TokenSpread(const ServingTable& table, std::size_t gpus, std::size_t nodes);
  /// Takes in a token's choices; null experts are passed over.
  void assign(std::size_t layer, std::span<const ExpertIndex> chosen);

  /// Real experts of the token in this round.
  [[nodiscard]] std::size_t experts() const { return experts_; }
  /// Share of the token's experts on each GPU [gpus] and node [nodes]; sums to 1 with a real expert.
  [[nodiscard]] std::span<const double> gpu_share() const { return gpu_share_; }
  [[nodiscard]] std::span<const double> node_share() const { return node_share_; }
  /// Probability that a GPU [gpus] or node [nodes] is touched.
  [[nodiscard]] std::span<const double> gpu_touched() const { return gpu_touched_; }
  [[nodiscard]] std::span<const double> node_touched() const { return node_touched_; }

 private:
  const ServingTable* table_;
  std::size_t gpus_per_node_;
  std::size_t experts_ = 0;
  std::vector<double> gpu_share_, node_share_, gpu_touched_, node_touched_, expert_on_node_;
};

}  // namespace evenkeel
