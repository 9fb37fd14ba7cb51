#pragma once

#include <optional>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"

namespace evenkeel {

struct MoetunerOptions {
  /// Relative gap at which each program counts as solved. Not negative; 0.025 is the paper's.
  double gap_ratio = 0.025;
};

struct MoetunerResult {
  /// Absent where either program ended without a solution.
  std::optional<Assignment> assignment;
  /// Whether both programs were solved to within the gap.
  bool finished = false;
};

/// MoETuner (Go and Mahajan, arXiv 2502.06643) as printed, with GLPK in place of Gurobi: one integer program clusters
/// the experts of each layer by load (moetuner_clusters.h), a second sends the clusters of all layers to GPUs by
/// traffic (moetuner_map.h). A quarter of the budget goes to the first, in equal shares to the layers; a layer that
/// finds no solution in its share takes more. Nothing is begun where a program has more than 40,000 columns, or first
/// relaxations alone would outlast the budget. Without traffic, dispatch communication included, the second program is
/// left out and cluster c goes to GPU c. Wall budgets are kept to within a tenth and 0.3 s; work budgets limit nodes,
/// and equal arguments then give equal results. Not finishing is a result, not a failure. Thread-safe.
[[nodiscard]] MoetunerResult moetuner_assignment(const Instance& instance, Budget& budget,
                                                 const MoetunerOptions& options = {});

}  // namespace evenkeel
