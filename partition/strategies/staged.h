#pragma once

#include "partition/foundation/result.h"
#include "partition/problem/draft.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"
#include "partition/strategies/workbench.h"

namespace evenkeel {

/// The best that this project has: exact where the instance is small; else starts, annealing and GLPK blocks. Where
/// GPUs are not alike, place_unequally(); where a budget of moves binds, place_within_moves(). Fails as make_instance()
/// does.
[[nodiscard]] Result<Draft> place_evenkeel(const Problem& problem, Run& run);

/// After Workbench::balance(): starts, annealing and GLPK blocks for the instance's communication.
void search_communication(Workbench& bench);

/// METIS on the layer-expert graph, swap descent, then GLPK blocks; no annealing. Fails as make_instance() does.
[[nodiscard]] Result<Draft> place_metis_glpk(const Problem& problem, Run& run);

}  // namespace evenkeel
