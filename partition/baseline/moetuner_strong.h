#pragma once

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// MoETuner's two stages (arXiv 2502.06643, section 5) solved as well as they can be. Its first program is given as
/// `balanced`: an assignment with the loads of every layer levelled to within the paper's 2.5 % or better (LPT and
/// swaps), whose GPUs are the clusters. Its second, clusters to GPUs with least communication, is solved here: exactly
/// where tokens pass between neighbouring layers alone and clusters can be grouped by node in at most 105 ways, as on
/// one node, with one GPU a node, and up to 8 GPUs (grouping_chain.h). Else the best of three starts (each layer given
/// those before it; nodes first, then GPUs inside them; as given), each improved by exact assignment problems, of one
/// layer's clusters given its neighbours and of the two layers of each boundary, until neither helps; and all that
/// again from the best. Loads do not change; communication is never above that of `balanced`, which is returned as it
/// is without traffic (dispatch communication included) or budget. It stops early where the budget ends; 58 x 256 take
/// up to 0.5 s. Deterministic, apart from where a wall budget ends it.
[[nodiscard]] Assignment moetuner_strong_assignment(const Instance& instance, const Assignment& balanced,
                                                    Budget& budget);

}  // namespace evenkeel
