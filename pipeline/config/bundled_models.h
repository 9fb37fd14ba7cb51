#pragma once

#include <span>
#include <string_view>

namespace evenkeel {

/// A file of configs/models as it was when the program was built.
struct BundledModel {
  /// File name without .yaml.
  std::string_view name;
  std::string_view content;
};

/// Every bundled model, by name.
[[nodiscard]] std::span<const BundledModel> bundled_models();

}  // namespace evenkeel
