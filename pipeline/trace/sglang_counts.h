#pragma once

#include <filesystem>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Reads SGLang's JSON form of expert counts, `{"logical_count": [layers][experts]}` or `[steps][layers][experts]`,
/// rows for all hidden layers; other keys are ignored. Each step is a window; dense layers are among the rows.
/// Recognised by a first character '{' where is_vllm_statistics() does not hold. Memory: one step.
/// Fails with kInvalidInput.
[[nodiscard]] Status read_sglang_counts(const std::filesystem::path& path, const ReadOptions& options,
                                        RecordingSink& sink);

}  // namespace evenkeel
