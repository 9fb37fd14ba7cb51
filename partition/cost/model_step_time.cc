#include "partition/cost/model_step_time.h"

namespace evenkeel {
namespace {

constexpr double kMemoryBytesPerSecond = 3.35e12;
constexpr double kFp8FlopPerSecond = 1979e12;
constexpr double kBf16FlopPerSecond = 989.5e12;
constexpr double kReachedShareOfPeak = 0.5;

}  // namespace

StepTimeModel step_time_model(const ModelSpec& model) {
  const double peak = model.weight_precision == WeightPrecision::kFp8 ? kFp8FlopPerSecond : kBf16FlopPerSecond;
  const double flop = 6.0 * static_cast<double>(model.hidden_size) * static_cast<double>(model.moe_intermediate_size);
  StepTimeModel step_time;
  step_time.compute_per_token = std::chrono::duration<double>(flop / (kReachedShareOfPeak * peak));
  step_time.compute_per_expert = std::chrono::duration<double>(model.expert_bytes / kMemoryBytesPerSecond);
  step_time.expert_bytes = model.expert_bytes;
  step_time.dispatch_bytes = model.dispatch_bytes;
  step_time.combine_bytes = model.combine_bytes;
  return step_time;
}

}  // namespace evenkeel
