#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// A file of configs/ as it was when the program was built.
struct BundledFile {
  /// File name without .yaml.
  std::string_view name;
  std::string_view content;
};

/// Every bundled model (configs/models), and every hardware preset (configs/hardware), by name.
[[nodiscard]] std::span<const BundledFile> bundled_models();
[[nodiscard]] std::span<const BundledFile> bundled_hardware();

/// Names of the files, in their order.
[[nodiscard]] std::vector<std::string> names_of(std::span<const BundledFile> files);

/// A value is a path where it has a slash or ends in .yaml, else a bundled file's name.
[[nodiscard]] bool is_path(std::string_view path_or_name);

/// The file with that name. Fails with kInvalidInput: "`what` 'name' is unknown; did you mean ...? `remedy` ...", all
/// names after it.
[[nodiscard]] Result<BundledFile> find_bundled(std::span<const BundledFile> files, std::string_view name,
                                               std::string_view what, std::string_view remedy);

}  // namespace evenkeel
