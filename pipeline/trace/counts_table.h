#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "partition/foundation/grid.h"
#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// What a note on counts says that are stored in floats of 16 bits; empty where every count is exact.
[[nodiscard]] std::string inexact_counts_note(const std::string& where, const std::string& type, int whole_max);

/// Hands on counts [layers, experts] that are all of a file, as one window. Rows belong to layers as layers_of_rows()
/// says. Fails with kInvalidInput, naming `path`, also where all are zero.
[[nodiscard]] Status hand_on_counts(const std::string& path, const Grid<std::uint64_t>& counts,
                                    const ReadOptions& options, RecordingSink& sink);

/// Reads a file of torch.save that is one tensor of counts [layers, experts], as DeepSeek's EPLB and vllm-ascend take
/// it. Fails with kInvalidInput.
[[nodiscard]] Status read_torch_counts(const std::filesystem::path& path, const ReadOptions& options,
                                       RecordingSink& sink);

}  // namespace evenkeel
