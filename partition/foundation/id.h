#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace evenkeel {

/// A number that names one thing of one kind. No arithmetic and no implicit conversion, so that a GPU cannot be passed
/// where an expert is meant; "none" is an empty std::optional. Solver and metric kernels index tables by `index()`.
template <class Tag>
class Id {
 public:
  constexpr explicit Id(std::size_t value) : value_(static_cast<std::uint32_t>(value)) {}
  [[nodiscard]] constexpr std::size_t index() const { return value_; }
  constexpr auto operator<=>(const Id&) const = default;

 private:
  std::uint32_t value_;
};

/// Row of a placement: the i-th MoE layer, not the absolute number of the hidden layer (ModelShape::layer_ids has
/// that).
using LayerId = Id<struct LayerTag>;
using ExpertId = Id<struct ExpertTag>;
using GpuId = Id<struct GpuTag>;
using NodeId = Id<struct NodeTag>;
/// A place for one expert of a layer; slots are numbered over all GPUs in order.
using SlotId = Id<struct SlotTag>;

/// Expert number as bulk tables store it.
using ExpertIndex = std::uint16_t;

/// Marks "no expert" in a token's top-k: a null expert, or padding.
inline constexpr ExpertIndex kNoExpert = 0xFFFF;

/// Largest number of experts a layer may have; kNoExpert is not an expert.
inline constexpr std::size_t kExpertsMax = 0xFFFF;

}  // namespace evenkeel
