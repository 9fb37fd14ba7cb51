#pragma once

#include <filesystem>
#include <string_view>

#include "partition/model/result.h"

namespace evenkeel {

/// Writes a whole file: beside it first, then renamed, so that a reader never sees half of it. "-" is standard output;
/// of a symbolic link the target is written. Thread-safe.
/// Fails with kFailure, leaving what was there.
[[nodiscard]] Status write_output(const std::filesystem::path& path, std::string_view content);

/// Ends the process at once, but not while an output is half-written. For a thread that waits for signals.
[[noreturn]] void exit_between_outputs(int code);

}  // namespace evenkeel
