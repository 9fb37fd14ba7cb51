#pragma once

#include <string>

#include "partition/foundation/result.h"
#include "pipeline/trace/npz.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Sets the header's MoE layers to those that the archive names: `moe_layer_ids`, or where it has none, all layers of
/// `layer_ids`. The header has its layers already. Fails with kInvalidInput, naming `path`.
[[nodiscard]] Status read_moe_layers(const std::string& path, const NpzArchive& archive, RecordingHeader& header);

}  // namespace evenkeel
