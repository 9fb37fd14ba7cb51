#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace evenkeel {

/// Number format in which the weights of routed experts are kept.
enum class WeightPrecision {
  kBf16,   ///< Two bytes a weight.
  kFp8,    ///< One byte; the scale of a block of 128 x 128 does not count.
  kMxfp4,  ///< 4.25 bits: four a weight and eight for the scale of 32 (OCP Microscaling Formats 1.0).
};

/// What a model file says of a Mixture-of-Experts model (docs/reference/config.md).
struct ModelSpec {
  std::string name;
  /// All layers, dense ones included.
  std::size_t hidden_layers = 0;
  /// Numbers of the layers that have routed experts, ascending.
  std::vector<int> moe_layer_ids;
  /// Routed experts of a layer.
  std::size_t experts = 0;
  /// Experts a token chooses in a round.
  std::size_t top_k = 0;
  /// Zero-compute experts the router may choose besides, numbered from `experts` on.
  std::size_t null_experts = 0;
  /// Experts that every token passes; they are not placed.
  std::size_t shared_experts = 0;
  /// The router ranks groups of neighbouring experts first and chooses within the best `groups_chosen` of them.
  std::size_t routing_groups = 1;
  std::size_t groups_chosen = 1;
  /// Routing decisions a layer takes.
  std::size_t rounds_per_layer = 1;
  std::size_t hidden_size = 0;
  /// Inner width of a routed expert.
  std::size_t moe_intermediate_size = 0;
  WeightPrecision weight_precision = WeightPrecision::kBf16;
  /// Bytes of the weights of one expert.
  double expert_bytes = 0;
  /// Bytes a token sends to each GPU it is dispatched to, and gets back.
  double dispatch_bytes = 0;
  double combine_bytes = 0;

  [[nodiscard]] std::size_t rounds() const { return moe_layer_ids.size() * rounds_per_layer; }
};

}  // namespace evenkeel
