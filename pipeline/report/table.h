#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace evenkeel {

/// A table for a terminal: first column left, others right aligned, a rule under the header.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  /// Writes a title above the header, over `columns` columns from `first`.
  void add_group(std::string title, std::size_t first, std::size_t columns);
  /// As many cells as the header has.
  void add(std::vector<std::string> row);
  /// Lines, each ended by a newline.
  [[nodiscard]] std::string text() const;

 private:
  struct Group {
    std::string title;
    std::size_t first;
    std::size_t columns;
  };

  std::vector<Group> groups_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace evenkeel
