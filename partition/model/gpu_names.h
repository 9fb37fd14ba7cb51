#pragma once

#include <cstddef>
#include <vector>

#include "partition/foundation/grid.h"

namespace evenkeel {

/// New names of GPUs whose nodes stay together: which node each becomes, and in it which GPU each of its GPUs, so that
/// the sum of kept(GPU now, name) is largest. Exact, by an assignment problem in an assignment problem. Needs nodes
/// that divide the GPUs. Returns the name of each GPU [gpus]. Pure.
[[nodiscard]] std::vector<std::size_t> best_gpu_names(const Grid<double>& kept, std::size_t nodes);

}  // namespace evenkeel
