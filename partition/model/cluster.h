#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "partition/foundation/id.h"
#include "partition/foundation/result.h"

namespace evenkeel {

/// A tier of the network, per GPU and direction.
struct Link {
  /// Gigabytes (1e9 bytes) a second. Above 0.
  double bandwidth_gb_per_s;
  std::chrono::duration<double, std::micro> latency;
  bool operator==(const Link&) const = default;
};

/// What one GPU computes with; the step-time model's constants are reckoned from it. Defaults are H100's (NVIDIA H100
/// SXM data sheet, peaks without sparsity).
struct GpuSpec {
  double memory_tb_per_s = 3.35;
  double fp8_tflop_per_s = 1979;
  double bf16_tflop_per_s = 989.5;
  /// Share of the peak that the experts' matrix products reach, above 0 and at most 1. DeepGEMM's grouped ones reach
  /// 0.41 to 0.66 on H800: 815 to 1,297 TFLOP/s (tables of its README of February 2025).
  double reached_ratio = 0.5;
  bool operator==(const GpuSpec&) const = default;
};

/// What a cluster sets of the step-time model itself.
struct StepTimeSettings {
  using Microseconds = std::chrono::duration<double, std::micro>;
  /// Measured c and a, in place of those reckoned from model and GPU.
  std::optional<Microseconds> compute_per_token = std::nullopt;
  std::optional<Microseconds> compute_per_expert = std::nullopt;
  /// Attention and all else that a layer with experts takes, whatever the placement.
  Microseconds other_per_layer{0};
  /// How much of computing and communication of a layer happens at once: 0 one after the other, 1 as long as the
  /// longer.
  double overlap_ratio = 0;
  bool operator==(const StepTimeSettings&) const = default;
};

/// The expert-parallel ranks a model is spread over: `gpus` GPUs on `nodes` machines, in order, the same number on
/// each. GPUs may differ in speed and in slots; one that is lost has none.
struct Cluster {
  std::size_t gpus = 1;
  std::size_t nodes = 1;
  /// NVLink of an H100 node, one direction; latency of NCCL's Simple protocol, rounded (3.4 us in its tuning tables).
  Link intra_node{450.0, std::chrono::microseconds(3)};
  /// One 400 Gbit/s InfiniBand port a GPU; NCCL's tables had 9.6 us, and have 14 us since.
  Link inter_node{50.0, std::chrono::microseconds(10)};
  /// How fast each GPU computes, 1 being what the step-time model's constants are of [gpus]; empty: 1 each.
  std::vector<double> speeds = {};
  /// Slots of each GPU in every layer [gpus]; empty: the same on all.
  std::vector<std::uint32_t> slots = {};
  /// Memory of each GPU for the experts of all layers, in 1e9 bytes [gpus]; empty: enough.
  std::vector<double> memory_gb = {};
  GpuSpec gpu_spec = {};
  StepTimeSettings step_time = {};

  [[nodiscard]] std::size_t gpus_per_node() const { return gpus / nodes; }
  [[nodiscard]] NodeId node_of(GpuId gpu) const { return NodeId(gpu.index() / gpus_per_node()); }

  [[nodiscard]] double speed(GpuId gpu) const { return speeds.empty() ? 1.0 : speeds[gpu.index()]; }
  /// Whether all GPUs are alike in speed and slots.
  [[nodiscard]] bool is_uniform() const;
  /// Slots of a layer over all GPUs, where each GPU's are given; else none.
  [[nodiscard]] std::size_t slots_in_all() const { return std::accumulate(slots.begin(), slots.end(), std::size_t{0}); }

  /// What a byte between GPUs of one node costs relative to a byte between nodes: q of the communication objective.
  [[nodiscard]] double intra_node_cost_ratio() const {
    return inter_node.bandwidth_gb_per_s / intra_node.bandwidth_gb_per_s;
  }

  /// Fails with kInvalidInput for a number out of range, kInfeasible when the nodes cannot hold equal numbers of GPUs.
  [[nodiscard]] Status validate() const;
  bool operator==(const Cluster&) const = default;
};

/// The cluster with slots that its GPUs have memory for, a slot taking so many bytes (an expert's in every layer):
/// those that it gives, or so many in all, as equal as memory allows. Fails with kInfeasible where memory is too
/// little, naming what would do.
[[nodiscard]] Result<Cluster> fitted_to_memory(Cluster cluster, double bytes_per_slot, std::size_t slots_in_all);

}  // namespace evenkeel
