#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "partition/foundation/result.h"
#include "partition/model/instance.h"
#include "partition/model/placement.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"

namespace evenkeel {

/// An assignment with other copies than the greedy rule's, for the layers that those cannot balance. Absent where there
/// are none, or nothing better is found; else `instance` becomes the instance of the new copies. `bound_units` [layers]
/// are lower bounds of the largest GPU load. Fails as make_instance() does.
[[nodiscard]] Result<std::optional<Assignment>> search_copies(const Problem& problem, Run& run,
                                                              std::span<const std::int64_t> bound_units,
                                                              Instance& instance);

/// With loads alone and an uneven split: slots searched for that split, whose shares come last. Else the placement.
[[nodiscard]] Placement searched_for_split(const Problem& problem, Run& run, Placement placement);

/// Second copies of all experts on second nodes; with loads alone what that unbalances is balanced anew.
[[nodiscard]] Placement spread_copies(const Problem& problem, Run& run, const Placement& placement);

}  // namespace evenkeel
