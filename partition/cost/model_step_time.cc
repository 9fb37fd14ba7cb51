#include "partition/cost/model_step_time.h"

namespace evenkeel {
namespace {

using Seconds = std::chrono::duration<double>;

StepTimeModel with_settings(StepTimeModel model, const StepTimeSettings& settings) {
  model.compute_per_token = settings.compute_per_token.value_or(model.compute_per_token);
  model.compute_per_expert = settings.compute_per_expert.value_or(model.compute_per_expert);
  model.other_per_layer = settings.other_per_layer;
  model.overlap_ratio = settings.overlap_ratio;
  return model;
}

}  // namespace

StepTimeModel step_time_model(const ModelSpec& model, const Cluster& cluster) {
  const GpuSpec& gpu = cluster.gpu_spec;
  const bool is_fp8 = model.weight_precision == WeightPrecision::kFp8;
  const double peak_flop_per_s = (is_fp8 ? gpu.fp8_tflop_per_s : gpu.bf16_tflop_per_s) * 1e12;
  const double flop = 6.0 * static_cast<double>(model.hidden_size) * static_cast<double>(model.moe_intermediate_size);
  StepTimeModel step_time;
  step_time.compute_per_token = Seconds(flop / (gpu.reached_ratio * peak_flop_per_s));
  step_time.compute_per_expert = Seconds(model.expert_bytes / (gpu.memory_tb_per_s * 1e12));
  step_time.expert_bytes = model.expert_bytes;
  step_time.dispatch_bytes = model.dispatch_bytes;
  step_time.combine_bytes = model.combine_bytes;
  step_time.experts_per_token = static_cast<double>(model.top_k);
  return with_settings(step_time, cluster.step_time);
}

StepTimeModel step_time_model(const std::optional<ModelSpec>& model, const Cluster& cluster) {
  if (model) return step_time_model(*model, cluster);
  // The defaults are of the default GPU.
  constexpr GpuSpec kDefault{};
  const GpuSpec& gpu = cluster.gpu_spec;
  StepTimeModel step_time;
  step_time.compute_per_token *=
      kDefault.fp8_tflop_per_s * kDefault.reached_ratio / (gpu.fp8_tflop_per_s * gpu.reached_ratio);
  step_time.compute_per_expert *= kDefault.memory_tb_per_s / gpu.memory_tb_per_s;
  return with_settings(step_time, cluster.step_time);
}

}  // namespace evenkeel
