#pragma once

#include <filesystem>
#include <string>

namespace evenkeel::testing {

/// A file of the bundled recordings.
inline std::filesystem::path bundled(const std::string& name) {
  return std::filesystem::path(EVENKEEL_TEST_DATA) / "evenkeel-moe" / name;
}

}  // namespace evenkeel::testing
