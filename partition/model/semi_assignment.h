#pragma once

#include <cstddef>
#include <vector>

#include "partition/foundation/grid.h"

namespace evenkeel {

/// Puts each row on one column, at most `capacity` rows a column, so that the sum of value(row, column) is largest.
/// With capacity 1 this is the linear assignment problem, with the slots of a GPU the placement of one layer whose
/// neighbours are fixed. Exact: shortest augmenting paths (Jonker and Volgenant 1987); rows^2 x columns time at worst.
/// Ties by column number. Needs finite values and rows <= columns x capacity. Returns the column of each row [rows].
[[nodiscard]] std::vector<std::size_t> best_semi_assignment(const Grid<double>& value, std::size_t capacity);

}  // namespace evenkeel
