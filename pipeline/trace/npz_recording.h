#pragma once

#include <filesystem>

#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Reads a native NPZ (docs/reference/formats.md): a trace of token paths (`ids`), a routing profile (`loads`, and a
/// sample of token paths beside them), recognised by which arrays there are. Fails with kInvalidInput.
[[nodiscard]] Status read_npz_recording(const std::filesystem::path& path, const ReadOptions& options,
                                        RecordingSink& sink);

}  // namespace evenkeel
