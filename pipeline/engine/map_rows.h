#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "partition/model/grid.h"
#include "partition/model/id.h"
#include "partition/model/result.h"

namespace evenkeel {

/// A rectangular list of lists of expert numbers. `where` names file and field in messages. Fails with kInvalidInput.
[[nodiscard]] Result<Grid<ExpertIndex>> parse_map_rows(const nlohmann::json& rows, const std::string& where);

/// The rows as JSON.
[[nodiscard]] nlohmann::ordered_json map_rows_json(const Grid<ExpertIndex>& rows);

}  // namespace evenkeel
