#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pipeline/trace/pickle.h"

namespace evenkeel {

/// The names a recording may use: what rebuilds a tensor, and the storages of whole numbers and floats. Empty for any
/// other.
[[nodiscard]] std::optional<PickleGlobal> known_global(std::string_view module, std::string_view name);

/// Element type of a storage; empty for what is no storage.
[[nodiscard]] std::optional<StorageType> storage_type(PickleGlobal global);

/// A foreign text fit for one line of a message: 80 characters at most, others than ASCII as '?'.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace evenkeel
