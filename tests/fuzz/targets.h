#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"

namespace evenkeel::fuzz {

/// A reader of files from outside, to be held against any bytes.
struct Target {
  std::string_view name;
  /// Reads `content` as a file in `folder`.
  Status (*read)(const std::filesystem::path& folder, const std::string& content);
};

/// All of them; scripts/fuzz.sh goes through this list.
[[nodiscard]] std::span<const Target> targets();

/// The target of this name; null where there is none.
[[nodiscard]] const Target* find_target(std::string_view name);

/// Has a target read the bytes, as a file in a folder below TMPDIR. Stops the program where a reader breaks the
/// contract of its sink, or fails with anything but one line.
Status read_input(const Target& target, std::span<const std::uint8_t> bytes);

}  // namespace evenkeel::fuzz
