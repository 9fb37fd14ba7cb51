#pragma once

#include <string_view>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/model/routing_profile.h"
#include "partition/problem/options.h"
#include "partition/problem/run.h"
#include "partition/problem/solution.h"

namespace evenkeel {

/// Names on the command line and in files.
[[nodiscard]] std::string_view strategy_name(Strategy strategy);
/// Every strategy, in the order the documentation lists them.
[[nodiscard]] const std::vector<Strategy>& all_strategies();
/// Whether the strategy keeps a budget of moves.
[[nodiscard]] bool keeps_budget_of_moves(Strategy strategy);
/// Whether windows of the traffic are weighed against one another, rather than added up.
[[nodiscard]] bool weighs_windows(const PlaceOptions& options);

/// Places every expert of every layer on a GPU slot. With the lexicographic objective: first the best largest load of
/// each layer, then least communication with every layer's load at most (1 + slack) times that best. With the weighted
/// one: least J.
///
/// Pure: no I/O, no clock reads but the budget. With work_units equal arguments give equal results; with wall time the
/// result depends on machine speed. Thread-safe (METIS calls are serialised). Every placement of ours has passed the
/// verifier; published strategies may hold an expert twice on a GPU, and so may a placement whose budget of moves did
/// not pay for repairing those of the running one. With such a budget both steps are about the placements within it;
/// slots that keep their expert's GPU keep their expert. What the strategy does not honour is refused, or said in
/// Solution::not_honoured. Fails: kInvalidInput, kInfeasible, kTimeLimit for published strategies that did not finish.
[[nodiscard]] Result<Solution> place(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                     const StageObserver& observer = {});

}  // namespace evenkeel
