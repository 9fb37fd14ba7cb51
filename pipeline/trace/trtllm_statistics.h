#pragma once

#include <filesystem>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Whether `path` is a folder of TensorRT-LLM's expert statistics: one with a meta_info.json.
[[nodiscard]] bool is_trtllm_statistics(const std::filesystem::path& path);

/// Reads the folder that TensorRT-LLM writes with EXPERT_STATISTIC_ITER_RANGE and EXPERT_STATISTIC_PATH:
/// meta_info.json, and rank{r}.safetensors with an int64 [experts] for each "{iteration}_{layer}". Each iteration is a
/// window, the sum over the ranks that are there; layers have the model's numbers. What a rank lacks counts as 0.
/// Memory: one window, and the ranks' headers. Fails with kInvalidInput.
[[nodiscard]] Status read_trtllm_statistics(const std::filesystem::path& folder, const ReadOptions& options,
                                            RecordingSink& sink);

}  // namespace evenkeel
