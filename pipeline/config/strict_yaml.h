#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "partition/model/result.h"

namespace evenkeel {

/// A settings file read strictly: a map of known keys (one level of nesting, joined by a dot) to scalars. An unknown or
/// repeated key is an error that names the nearest known one.
class StrictYaml {
 public:
  /// `known` lists every accepted key, such as "gpus" or "intra_node.latency_us". Fails with kInvalidInput.
  [[nodiscard]] static Result<StrictYaml> read(const std::filesystem::path& path,
                                               const std::vector<std::string>& known);

  /// The text of a scalar, or none where the file does not set it.
  [[nodiscard]] std::optional<std::string> text(const std::string& key) const;
  /// As number; fails with kInvalidInput, naming file, key and value, where it is not one.
  [[nodiscard]] Result<std::optional<double>> number(const std::string& key) const;
  /// As whole number, 0 or above.
  [[nodiscard]] Result<std::optional<std::size_t>> count(const std::string& key) const;
  /// Every key the file sets with its text, in file order.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }

 private:
  StrictYaml(std::string path, std::vector<std::pair<std::string, std::string>> entries)
      : path_(std::move(path)), entries_(std::move(entries)) {}

  std::string path_;
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace evenkeel
