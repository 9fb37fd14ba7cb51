#include "partition/model/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace evenkeel {
namespace {

/// Far above any expert-parallel group in use (the largest published is 320); bounds tables of GPUs x experts.
constexpr std::size_t kGpusMax = 4096;
constexpr double kSpeedMax = 1000;
constexpr double kMemoryGbMax = 1e6;

Status validate_link(const Link& link, const char* tier) {
  if (!(link.bandwidth_gb_per_s > 0) || link.bandwidth_gb_per_s > 1e6) {
    return invalid_input(fmt::format("cluster: {} bandwidth is {} GB/s; give a number above 0 and at most 1e6", tier,
                                     link.bandwidth_gb_per_s));
  }
  if (!(link.latency.count() >= 0) || link.latency.count() > 1e6) {
    return invalid_input(
        fmt::format("cluster: {} latency is {} us; give a number from 0 to 1e6", tier, link.latency.count()));
  }
  return {};
}

Status check(const char* key, double value, bool is_valid, const char* range) {
  if (is_valid) return {};
  return invalid_input(fmt::format("cluster: {} is {}; give {}", key, value, range));
}

Status validate_gpu(const GpuSpec& gpu) {
  constexpr double kMost = 1e6;
  const auto check_rate = [&](const char* key, double rate) {
    return check(key, rate, rate > 0 && rate <= kMost, "a number above 0 and at most 1e6");
  };
  EVENKEEL_TRY_STATUS(check_rate("gpu.memory_tb_per_s", gpu.memory_tb_per_s));
  EVENKEEL_TRY_STATUS(check_rate("gpu.fp8_tflop_per_s", gpu.fp8_tflop_per_s));
  EVENKEEL_TRY_STATUS(check_rate("gpu.bf16_tflop_per_s", gpu.bf16_tflop_per_s));
  return check("gpu.reached_ratio", gpu.reached_ratio, gpu.reached_ratio > 0 && gpu.reached_ratio <= 1,
               "a number above 0 and at most 1");
}

Status validate_step_time(const StepTimeSettings& settings) {
  using Microseconds = StepTimeSettings::Microseconds;
  const auto check_time = [](const char* key, Microseconds time) {
    return check(key, time.count(), time.count() >= 0 && time.count() <= 1e9, "microseconds from 0 to 1e9");
  };
  EVENKEEL_TRY_STATUS(
      check_time("step_time.compute_per_token_us", settings.compute_per_token.value_or(Microseconds(0))));
  EVENKEEL_TRY_STATUS(
      check_time("step_time.compute_per_expert_us", settings.compute_per_expert.value_or(Microseconds(0))));
  EVENKEEL_TRY_STATUS(check_time("step_time.other_per_layer_us", settings.other_per_layer));
  return check("step_time.overlap_ratio", settings.overlap_ratio,
               settings.overlap_ratio >= 0 && settings.overlap_ratio <= 1, "a number from 0 to 1");
}

Status validate_speed(double speed, std::size_t gpu) {
  if (speed > 0 && speed <= kSpeedMax) return {};
  return invalid_input(
      fmt::format("cluster: speed of GPU {} is {}; give a number above 0 and at most {}", gpu, speed, kSpeedMax));
}

}  // namespace

bool Cluster::is_uniform() const {
  return std::ranges::adjacent_find(speeds, std::not_equal_to<>()) == speeds.end() &&
         std::ranges::adjacent_find(slots, std::not_equal_to<>()) == slots.end();
}

Status Cluster::validate() const {
  if (gpus == 0 || gpus > kGpusMax) {
    return invalid_input(fmt::format("cluster: gpus is {}; give 1 to {}", gpus, kGpusMax));
  }
  if (nodes == 0) return invalid_input("cluster: nodes is 0; give 1 or more");
  if (gpus % nodes != 0) {
    return infeasible(fmt::format(
        "cluster: {} GPUs do not divide over {} nodes; give a number of GPUs that is a multiple of the nodes", gpus,
        nodes));
  }
  for (const auto& [name, given] : {std::pair{"speeds", speeds.size()}, std::pair{"slots", slots.size()},
                                    std::pair{"memory_gb", memory_gb.size()}}) {
    if (given == 0 || given == gpus) continue;
    return invalid_input(fmt::format("cluster: {} has {} values for {} GPUs; give one for each", name, given, gpus));
  }
  for (std::size_t gpu = 0; gpu < speeds.size(); ++gpu) EVENKEEL_TRY_STATUS(validate_speed(speeds[gpu], gpu));
  for (std::size_t gpu = 0; gpu < memory_gb.size(); ++gpu) {
    if (memory_gb[gpu] >= 0 && memory_gb[gpu] <= kMemoryGbMax) continue;
    return invalid_input(fmt::format("cluster: memory_gb of GPU {} is {}; give a number from 0 to {}", gpu,
                                     memory_gb[gpu], kMemoryGbMax));
  }
  EVENKEEL_TRY_STATUS(validate_link(intra_node, "intra_node"));
  EVENKEEL_TRY_STATUS(validate_link(inter_node, "inter_node"));
  EVENKEEL_TRY_STATUS(validate_gpu(gpu_spec));
  return validate_step_time(step_time);
}

Result<Cluster> fitted_to_memory(Cluster cluster, double bytes_per_slot, std::size_t slots_in_all) {
  if (cluster.memory_gb.empty()) return cluster;
  std::vector<std::uint32_t> most;
  for (const double gb : cluster.memory_gb)
    most.push_back(static_cast<std::uint32_t>(std::min(gb * 1e9 / bytes_per_slot, 65535.0)));
  for (std::size_t gpu = 0; gpu < cluster.slots.size(); ++gpu) {
    if (cluster.slots[gpu] <= most[gpu]) continue;
    return infeasible(fmt::format("cluster: {} slots of GPU {} take {:.1f} GB of its {:.1f}; give at most {}",
                                  cluster.slots[gpu], gpu, cluster.slots[gpu] * bytes_per_slot / 1e9,
                                  cluster.memory_gb[gpu], most[gpu]));
  }
  if (!cluster.slots.empty()) return cluster;
  const auto fit = std::accumulate(most.begin(), most.end(), std::size_t{0});
  if (fit < slots_in_all) {
    return infeasible(
        fmt::format("cluster: memory_gb of all GPUs holds {} of {} slots a layer; {:.1f} GB more would do", fit,
                    slots_in_all, static_cast<double>(slots_in_all - fit) * bytes_per_slot / 1e9));
  }
  // One slot more on each GPU that has room, again and again; the last round on the first of them.
  cluster.slots.assign(cluster.gpus, 0);
  for (std::size_t left = slots_in_all; left > 0;) {
    for (std::size_t gpu = 0; gpu < cluster.gpus && left > 0; ++gpu) {
      if (cluster.slots[gpu] == most[gpu]) continue;
      ++cluster.slots[gpu];
      --left;
    }
  }
  return cluster;
}

}  // namespace evenkeel
