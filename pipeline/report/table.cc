#include "pipeline/report/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "partition/model/check.h"

namespace evenkeel {

void Table::add(std::vector<std::string> row) {
  EVENKEEL_CHECK(row.size() == rows_.front().size(), "a row has a cell a column");
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> width(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column)
      width[column] = std::max(width[column], row[column].size());
  }
  std::string text;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::string line;
    for (std::size_t column = 0; column < width.size(); ++column) {
      line += column == 0 ? fmt::format("{:<{}}", rows_[i][column], width[column])
                          : fmt::format("  {:>{}}", rows_[i][column], width[column]);
    }
    text += line + '\n';
    if (i == 0) text += std::string(line.size(), '-') + '\n';
  }
  return text;
}

}  // namespace evenkeel
