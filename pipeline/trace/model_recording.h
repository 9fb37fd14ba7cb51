#pragma once

#include <string>

#include "partition/model/model_spec.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// How recordings of a model are to be read, and held against it (check_model()).
[[nodiscard]] ReadOptions read_options(const ModelSpec& model);

/// Holds what a recording says of its model against the model's file: MoE layers, all layers, experts, rounds and
/// top-k. Dense layers may be among the recording's. Fails with kInvalidInput; the message names both.
[[nodiscard]] Status check_model(const std::string& path, const RecordingHeader& header, const ModelSpec& model);

}  // namespace evenkeel
