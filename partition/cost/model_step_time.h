#pragma once

#include <optional>

#include "partition/cost/step_time.h"
#include "partition/model/cluster.h"
#include "partition/model/model_spec.h"

namespace evenkeel {

/// Constants of the step-time model for a model on a cluster's GPUs: bytes as the model says; an expert's weights read
/// once at the memory's bandwidth; six flop a token and weight of one of its three matrices at the reached share of the
/// peak, that of FP8 where weights are FP8, else of BF16. What the cluster sets itself wins. Pure.
[[nodiscard]] StepTimeModel step_time_model(const ModelSpec& model, const Cluster& cluster = {});

/// The same where the model may be unknown: then the defaults of StepTimeModel, DeepSeek-V3's, on the cluster's GPUs.
[[nodiscard]] StepTimeModel step_time_model(const std::optional<ModelSpec>& model, const Cluster& cluster);

}  // namespace evenkeel
