#pragma once

#include <string>
#include <vector>

namespace evenkeel {

/// A table for a terminal: first column left, others right aligned, a rule under the header.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  /// As many cells as the header has.
  void add(std::vector<std::string> row);
  /// Lines, each ended by a newline.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace evenkeel
