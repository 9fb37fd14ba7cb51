#include "pipeline/report/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

/// Columns a cell takes: its characters, those of UTF-8 that are one column wide (all that plot.h draws).
std::size_t columns_of(const std::string& cell) {
  return static_cast<std::size_t>(
      std::ranges::count_if(cell, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

}  // namespace

void Table::add(std::vector<std::string> row) {
  EVENKEEL_CHECK(row.size() == rows_.front().size(), "a row has a cell a column");
  rows_.push_back(std::move(row));
}

void Table::add_group(std::string title, std::size_t first, std::size_t columns) {
  EVENKEEL_CHECK(first + columns <= rows_.front().size(), "a group is over columns that are there");
  groups_.push_back({std::move(title), first, columns});
}

std::string Table::text() const {
  std::vector<std::size_t> width(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      width[column] = std::max(width[column], columns_of(row[column]));
    }
  }
  // Where each column's cells end; two spaces lie between columns.
  std::vector<std::size_t> end(width.size());
  for (std::size_t column = 0; column < width.size(); ++column) {
    end[column] = (column == 0 ? 0 : end[column - 1] + 2) + width[column];
  }
  std::string text;
  std::string titles;
  for (const Group& group : groups_) {
    const std::size_t begin = group.first == 0 ? 0 : end[group.first - 1] + 2;
    const std::size_t span = end[group.first + group.columns - 1] - begin;
    titles += std::string(begin - titles.size(), ' ') + fmt::format("{:-^{}.{}}", " " + group.title + " ", span, span);
  }
  if (!titles.empty()) text += titles + '\n';
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::string line;
    for (std::size_t column = 0; column < width.size(); ++column) {
      line += column == 0 ? fmt::format("{:<{}}", rows_[i][column], width[column])
                          : fmt::format("  {:>{}}", rows_[i][column], width[column]);
    }
    text += line + '\n';
    if (i == 0) text += std::string(columns_of(line), '-') + '\n';
  }
  return text;
}

}  // namespace evenkeel
