#pragma once

#include <filesystem>
#include <string_view>

#include "partition/model/result.h"

namespace evenkeel {

/// Writes a whole file: beside it first, then renamed, so that a reader never sees half of it. "-" is standard output.
/// Fails with kFailure, leaving what was there.
[[nodiscard]] Status write_output(const std::filesystem::path& path, std::string_view content);

}  // namespace evenkeel
