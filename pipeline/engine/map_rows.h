#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/foundation/result.h"

namespace evenkeel {

/// Fills `out` with a list of that many expert numbers. `where` names file and field in messages. Fails with
/// kInvalidInput.
[[nodiscard]] Status parse_map_row(const nlohmann::json& row, const std::string& where, std::span<ExpertIndex> out);

/// A rectangular list of lists of expert numbers. `where` names file and field in messages. Fails with kInvalidInput.
[[nodiscard]] Result<Grid<ExpertIndex>> parse_map_rows(const nlohmann::json& rows, const std::string& where);

/// A row as JSON, and all rows.
[[nodiscard]] nlohmann::ordered_json map_row_json(std::span<const ExpertIndex> row);
[[nodiscard]] nlohmann::ordered_json map_rows_json(const Grid<ExpertIndex>& rows);

}  // namespace evenkeel
