#pragma once

#include <filesystem>

#include "partition/foundation/result.h"

namespace evenkeel::rebalancer {

/// Copies the journal of a state folder into one file, whole or not at all, while a rebalancer may be using it. Only
/// its owner may read the file. Fails with kInvalidInput where the folder has no journal, kFailure where the copy
/// cannot be made.
[[nodiscard]] Status back_up(const std::filesystem::path& folder, const std::filesystem::path& file);

/// Makes a state folder from such a file. Fails with kInvalidInput where the folder has a journal already, which is
/// never overwritten, or the file is none; kFailure where it cannot be written.
[[nodiscard]] Status restore(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace evenkeel::rebalancer
