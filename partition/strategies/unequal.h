#pragma once

#include "partition/foundation/result.h"
#include "partition/problem/draft.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"

namespace evenkeel {

/// Places on GPUs that are not alike: annealing of exchanges and replacements towards the least largest load over speed
/// of each layer, from a greedy packing or the running placement; then, with token paths, of exchanges for
/// communication within the slack. Slots that are gone are made up for with the fewest moves that leave every expert a
/// slot, and a budget of moves is kept beyond those. The certificate is of load over speed, or of modelled time. Needs
/// a problem that is unequal. Fails as make_instance() does.
[[nodiscard]] Result<Draft> place_unequally(const Problem& problem, Run& run);

}  // namespace evenkeel
