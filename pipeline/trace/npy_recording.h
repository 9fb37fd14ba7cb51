#pragma once

#include <filesystem>
#include <string_view>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Whether a file that starts with `head` is a NumPy array.
[[nodiscard]] constexpr bool is_npy(std::string_view head) { return head.starts_with("\x93NUMPY"); }

/// Reads the experts that vLLM returns with a request (--enable-return-routed-experts): a .npy file of integers
/// [tokens, layers, top_k], which is one sequence; or counts [layers, experts], one window. Rows belong to layers as
/// layers_of_rows() says; rows of dense layers are left out. Memory: two chunks of about 1 MiB. Fails with
/// kInvalidInput.
[[nodiscard]] Status read_npy_recording(const std::filesystem::path& path, const ReadOptions& options,
                                        RecordingSink& sink);

}  // namespace evenkeel
