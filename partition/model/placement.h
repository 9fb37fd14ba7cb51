#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/foundation/result.h"

namespace evenkeel {

/// Which expert each slot holds, layer by layer. Slots are numbered over all GPUs in order, GPU 0 first, so with equal
/// GPUs slot p is on GPU p // (slots / GPUs), as in every engine.
///
/// Invariants (create() checks them): every expert has at least one slot in every layer; shares of an expert add up
/// to 1. An expert twice on one GPU is allowed in the type, because published balancers produce it; the verifier
/// refuses it in placements of ours.
class Placement {
 public:
  struct Fields {
    /// Absolute number of each MoE layer [layers], ascending.
    std::vector<int> layer_ids;
    std::size_t experts = 0;
    std::size_t nodes = 1;
    /// Slots of each GPU in every layer [gpus].
    std::vector<std::uint32_t> slots_of_gpu;
    /// Expert in each slot [layers, slots].
    Grid<ExpertIndex> expert_of_slot;
    /// Share of its expert's tokens each slot serves [layers, slots]; absent: an even split over the replicas.
    std::optional<Grid<double>> shares;
    bool operator==(const Fields&) const = default;
  };

  /// Fails with kInvalidInput; the message names layer, slot, value and what would be accepted.
  [[nodiscard]] static Result<Placement> create(Fields fields);

  [[nodiscard]] const Fields& fields() const { return fields_; }
  [[nodiscard]] std::span<const int> layer_ids() const { return fields_.layer_ids; }
  [[nodiscard]] std::size_t layers() const { return fields_.layer_ids.size(); }
  [[nodiscard]] std::size_t experts() const { return fields_.experts; }
  [[nodiscard]] std::size_t gpus() const { return fields_.slots_of_gpu.size(); }
  [[nodiscard]] std::size_t nodes() const { return fields_.nodes; }
  [[nodiscard]] std::size_t slots() const { return fields_.expert_of_slot.cols(); }
  /// Spare slots a layer: replicas beyond one copy of each expert.
  [[nodiscard]] std::size_t redundant() const { return slots() - experts(); }
  [[nodiscard]] bool has_equal_slots() const;

  [[nodiscard]] std::span<const ExpertIndex> row(LayerId layer) const { return fields_.expert_of_slot[layer.index()]; }
  /// Experts a GPU holds in a layer, in slot order.
  [[nodiscard]] std::span<const ExpertIndex> hosted(LayerId layer, GpuId gpu) const {
    return row(layer).subspan(first_slot_of_gpu_[gpu.index()], fields_.slots_of_gpu[gpu.index()]);
  }
  [[nodiscard]] GpuId gpu_of(SlotId slot) const { return GpuId(gpu_of_slot_[slot.index()]); }
  /// Share of its expert's tokens a slot serves.
  [[nodiscard]] double share(LayerId layer, SlotId slot) const;

  bool operator==(const Placement& other) const { return fields_ == other.fields_; }

 private:
  explicit Placement(Fields fields);

  Fields fields_;
  std::vector<std::uint32_t> first_slot_of_gpu_;
  std::vector<std::uint32_t> gpu_of_slot_;
  /// Slots that hold each expert [layers, experts].
  Grid<std::uint32_t> copies_;
};

/// The placement every engine starts with: slot p of a layer holds expert p, spare slots hold experts 0, 1, ... again.
/// Fails with kInfeasible where experts + redundant do not divide over the GPUs.
[[nodiscard]] Result<Placement> contiguous_placement(std::vector<int> layer_ids, std::size_t experts,
                                                     std::size_t redundant, std::size_t gpus, std::size_t nodes);

/// Equal slots a GPU for `experts + redundant` slots a layer, or kInfeasible with the nearest numbers that would do.
[[nodiscard]] Result<std::uint32_t> equal_slots_per_gpu(std::size_t experts, std::size_t redundant, std::size_t gpus);

}  // namespace evenkeel
