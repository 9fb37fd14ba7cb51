#include "pipeline/engine/map_rows.h"

#include <fmt/format.h>

#include "pipeline/trace/json_file.h"

namespace evenkeel {

Result<Grid<ExpertIndex>> parse_map_rows(const nlohmann::json& rows, const std::string& where) {
  if (!rows.is_array() || rows.empty() || !rows[0].is_array() || rows[0].empty()) {
    return invalid_input(
        fmt::format("{} is {}; give a list of layers, each a list of expert numbers", where, brief(rows)));
  }
  Grid<ExpertIndex> map(rows.size(), rows[0].size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!rows[row].is_array() || rows[row].size() != map.cols()) {
      return invalid_input(
          fmt::format("{}[{}] is {}; every layer needs {} slots", where, row, brief(rows[row]), map.cols()));
    }
    for (std::size_t slot = 0; slot < map.cols(); ++slot) {
      const auto& value = rows[row][slot];
      if (!value.is_number_integer() || value < 0 || value >= kExpertsMax) {
        return invalid_input(fmt::format("{}[{}][{}] is {}; give an expert number, 0 to {}", where, row, slot,
                                         brief(value), kExpertsMax - 1));
      }
      map(row, slot) = value.get<ExpertIndex>();
    }
  }
  return map;
}

nlohmann::ordered_json map_rows_json(const Grid<ExpertIndex>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t row = 0; row < rows.rows(); ++row)
    list.push_back(std::vector<ExpertIndex>(rows[row].begin(), rows[row].end()));
  return list;
}

}  // namespace evenkeel
