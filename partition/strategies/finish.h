#pragma once

#include "partition/foundation/result.h"
#include "partition/problem/draft.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"
#include "partition/problem/solution.h"

namespace evenkeel {

/// Makes a draft a solution, the same way for every strategy: GPUs renamed for few moves, copies spread over nodes,
/// shares of an uneven split, certificate, verification, status and what moves. Needs a run whose budget has begun.
/// Fails with kFailure where the verifier refuses: that is a bug of the strategy.
[[nodiscard]] Result<Solution> finish(const Problem& problem, Run& run, Draft draft);

}  // namespace evenkeel
