#pragma once

#include "partition/cost/step_time.h"
#include "partition/model/model_spec.h"

namespace evenkeel {

/// Constants of the step-time model for a model on H100: bytes as it says; an expert's weights read at 3.35 TB/s; six
/// flop a token and weight of one of its three matrices at half of the dense peak, 1,979 TFLOP/s where weights are FP8
/// and 989.5 in BF16, to which MXFP4 is expanded (NVIDIA H100 SXM data sheet). Pure.
[[nodiscard]] StepTimeModel step_time_model(const ModelSpec& model);

}  // namespace evenkeel
