#pragma once

#include "partition/foundation/result.h"
#include "partition/problem/draft.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"

namespace evenkeel {

/// What others do, for comparison; partition/baseline has each one's header. Drafts may hold an expert twice on a GPU.
/// Each fails as make_instance() does; those with METIS or a program in them with kTimeLimit where they found nothing
/// in their time.
[[nodiscard]] Result<Draft> place_contiguous(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_random(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_lpt(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_eplb(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_eplb_hierarchical(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_metis(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_metis_naive(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_exflow(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_moetuner(const Problem& problem, Run& run);
[[nodiscard]] Result<Draft> place_moetuner_strong(const Problem& problem, Run& run);

}  // namespace evenkeel
