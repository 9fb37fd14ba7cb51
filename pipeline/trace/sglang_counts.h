#pragma once

#include <filesystem>

#include "pipeline/trace/trace.h"

namespace evenkeel {

/// Reads SGLang's JSON form of expert counts, `{"logical_count": [layers][experts]}` or `[steps][layers][experts]`,
/// rows for all hidden layers. Each step is a window. Layers without any load are dense and left out of the trace.
/// Fails with kInvalidInput.
[[nodiscard]] Result<Trace> read_sglang_counts(const std::filesystem::path& path);

}  // namespace evenkeel
