#include "pipeline/engine/map_rows.h"

#include <fmt/format.h>

#include "pipeline/trace/json_file.h"

namespace evenkeel {

Status parse_map_row(const nlohmann::json& row, const std::string& where, std::span<ExpertIndex> out) {
  if (!row.is_array() || row.size() != out.size()) {
    return invalid_input(
        fmt::format("{} is {}; give a list of {} experts, as elsewhere in the file", where, brief(row), out.size()));
  }
  for (std::size_t slot = 0; slot < out.size(); ++slot) {
    const auto& value = row[slot];
    if (!value.is_number_integer() || value < 0 || value >= kExpertsMax) {
      return invalid_input(
          fmt::format("{}[{}] is {}; give an expert number, 0 to {}", where, slot, brief(value), kExpertsMax - 1));
    }
    out[slot] = value.get<ExpertIndex>();
  }
  return {};
}

Result<Grid<ExpertIndex>> parse_map_rows(const nlohmann::json& rows, const std::string& where) {
  if (!rows.is_array() || rows.empty() || !rows[0].is_array() || rows[0].empty()) {
    return invalid_input(
        fmt::format("{} is {}; give a list of layers, each a list of expert numbers", where, brief(rows)));
  }
  // Sizes first: a table as wide as the first row for every empty one would take more memory than the file.
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (rows[row].is_array() && rows[row].size() == rows[0].size()) continue;
    return invalid_input(
        fmt::format("{}[{}] is {}; every layer needs {} slots", where, row, brief(rows[row]), rows[0].size()));
  }
  Grid<ExpertIndex> map(rows.size(), rows[0].size());
  for (std::size_t row = 0; row < rows.size(); ++row)
    EVENKEEL_TRY_STATUS(parse_map_row(rows[row], fmt::format("{}[{}]", where, row), map[row]));
  return map;
}

nlohmann::ordered_json map_row_json(std::span<const ExpertIndex> row) {
  return std::vector<ExpertIndex>(row.begin(), row.end());
}

nlohmann::ordered_json map_rows_json(const Grid<ExpertIndex>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t row = 0; row < rows.rows(); ++row) list.push_back(map_row_json(rows[row]));
  return list;
}

}  // namespace evenkeel
