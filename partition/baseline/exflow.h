#pragma once

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// ExFlow-like (Yao et al., IPDPS 2024, arXiv 2401.08383): least traffic between layers under exact slot counts, loads
/// not looked at, first over nodes, then over the GPUs inside each node. The paper gives Gurobi one program over single
/// tokens: cost[k, s] >= |x[expert of token k at layer s, c] - x[its expert at s + 1, c]|, all layers at once, with a
/// limit of 60 s a step. Here tokens are summed to pairs of experts, of equal cost for the paper's top-1 (top-k pairs
/// weigh 1/(k k')), and a layer at a time is solved exactly given its neighbours (best_semi_assignment): first each
/// layer given those before it, then backward and forward until nothing changes or the budget ends. That is a local
/// optimum without a bound, in 0.05 s at 26 x 64 and 1 s at 58 x 256.
/// Copies of an expert that land on one GPU are parted afterwards, with the least loss of traffic kept. Items in order
/// of number where there is no traffic, or no budget. Deterministic, apart from where a wall budget ends it.
[[nodiscard]] Assignment exflow_assignment(const Instance& instance, Budget& budget);

}  // namespace evenkeel
