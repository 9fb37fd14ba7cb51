#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "partition/foundation/result.h"

namespace evenkeel {

/// Fails with kInvalidInput for what is absent or no regular file: a folder, a pipe, a device.
[[nodiscard]] Status check_regular_file(const std::filesystem::path& path);

/// What becomes of an object that sets a key twice.
enum class RepeatedKeys {
  kLastWins,
  /// Told from a callback for every value, which costs time.
  kRefused,
};

/// Parses a whole JSON file of at most 32 MiB. Fails with kInvalidInput, naming file and byte.
[[nodiscard]] Result<nlohmann::json> read_json(const std::filesystem::path& path,
                                               RepeatedKeys repeated = RepeatedKeys::kLastWins);

/// A value as messages show it: cut to 40 characters, lists and objects by their size.
[[nodiscard]] std::string brief(const nlohmann::json& value);

}  // namespace evenkeel
