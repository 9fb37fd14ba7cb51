#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// The text of a settings file. Fails with kInvalidInput where it cannot be read or is beyond a mebibyte.
[[nodiscard]] Result<std::string> read_settings_text(const std::filesystem::path& path);

/// Whole numbers below `below`, ascending and each once: with commas between them, each a number, a range "4-7" with
/// both ends, or "0-46/2", every second number of it. Fails with the part that is something else.
[[nodiscard]] tl::expected<std::vector<std::size_t>, std::string> parse_numbers(const std::string& text,
                                                                                std::size_t below);

/// A settings file read strictly: a map of known keys (one level of nesting, joined by a dot) to scalars. An unknown or
/// repeated key is an error that names the nearest known one.
class StrictYaml {
 public:
  /// `known` lists every accepted key, such as "gpus" or "intra_node.latency_us"; those of `lists` may also have a list
  /// of scalars. Fails with kInvalidInput.
  [[nodiscard]] static Result<StrictYaml> read(const std::filesystem::path& path, const std::vector<std::string>& known,
                                               const std::vector<std::string>& lists = {});
  /// As read(), of a text that is at hand; `name` is what messages call it.
  [[nodiscard]] static Result<StrictYaml> parse(const std::string& name, const std::string& content,
                                                const std::vector<std::string>& known,
                                                const std::vector<std::string>& lists = {});

  /// The text of a scalar, or none where the file does not set it.
  [[nodiscard]] std::optional<std::string> text(const std::string& key) const;
  /// As number; fails with kInvalidInput, naming file, key and value, where it is not one.
  [[nodiscard]] Result<std::optional<double>> number(const std::string& key) const;
  /// As whole number, 0 or above.
  [[nodiscard]] Result<std::optional<std::size_t>> count(const std::string& key) const;
  /// parse_numbers() of a list's items, or of the one value; none where the key is not set.
  [[nodiscard]] Result<std::vector<std::size_t>> numbers(const std::string& key, std::size_t below) const;
  /// Every key the file sets with its text, in file order; a list has its items with commas between them.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }

 private:
  StrictYaml(std::string path, std::vector<std::pair<std::string, std::string>> entries)
      : path_(std::move(path)), entries_(std::move(entries)) {}

  std::string path_;
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace evenkeel
