#pragma once

#include <filesystem>

#include "pipeline/trace/trace.h"

namespace evenkeel {

/// Writes windows of loads and sampled token paths as a profile NPZ (docs/reference/formats.md). Fails with kFailure.
[[nodiscard]] Status write_profile(const std::filesystem::path& path, const Trace& profile);

}  // namespace evenkeel
