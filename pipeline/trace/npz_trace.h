#pragma once

#include <filesystem>

#include "pipeline/trace/trace.h"

namespace evenkeel {

/// Reads a native NPZ trace (docs/reference/formats.md): `ids` [tokens, rounds, top-k], `seq_start`, and optionally
/// `layer_ids`, `window`, `stage`, `experts`. Fails with kInvalidInput.
[[nodiscard]] Result<Trace> read_npz_trace(const std::filesystem::path& path, const ReadOptions& options);

}  // namespace evenkeel
