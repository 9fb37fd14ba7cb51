#pragma once

#include "partition/foundation/grid.h"

namespace evenkeel {

/// Traffic above what independent choices would give, the part that a placement can win: max(0, R - P P' / total) with
/// P and P' the sums of rows and columns. `traffic` and the result are [items here, items there].
[[nodiscard]] Grid<float> lift(const Grid<float>& traffic);

}  // namespace evenkeel
