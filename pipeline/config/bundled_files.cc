#include "pipeline/config/bundled_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "pipeline/flags/nearest.h"

namespace evenkeel {

std::vector<std::string> names_of(std::span<const BundledFile> files) {
  std::vector<std::string> names;
  for (const BundledFile& file : files) names.emplace_back(file.name);
  return names;
}

bool is_path(std::string_view path_or_name) {
  return path_or_name.find('/') != std::string_view::npos || path_or_name.ends_with(".yaml");
}

Result<BundledFile> find_bundled(std::span<const BundledFile> files, std::string_view name, std::string_view what,
                                 std::string_view remedy) {
  const auto file = std::ranges::find(files, name, &BundledFile::name);
  if (file != files.end()) return *file;
  const auto names = names_of(files);
  return invalid_input(fmt::format("{} '{}' is unknown{}; {} {}", what, name, did_you_mean(std::string(name), names),
                                   remedy, fmt::join(names, ", ")));
}

}  // namespace evenkeel
