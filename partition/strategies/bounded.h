#pragma once

#include "partition/foundation/result.h"
#include "partition/problem/draft.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"

namespace evenkeel {

/// The best placement of equal GPUs within a budget of moves from the running one: first the best largest loads within
/// the budget, then what is left of it spent on communication under their caps. The result may hold an expert twice on
/// a GPU where the running placement does and the budget did not pay for repairing it. Needs a problem that is bounded.
/// Fails as make_instance() does.
[[nodiscard]] Result<Draft> place_within_moves(const Problem& problem, Run& run);

}  // namespace evenkeel
