#pragma once

#include <optional>
#include <span>

#include "partition/cost/step_time.h"
#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/robust.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Checks a placement of ours against the problem it answers, with code of its own and nothing of the solver's: shape
/// and slots as asked, every expert placed, none twice on a GPU, shares that add up, and every layer's largest GPU load
/// at most (1 + load_slack_ratio) times z_star (ratio to the layer's mean [layers]; empty: no cap). A GPU's load is
/// weighed by its speed; with a time model it is modelled time, and the mean that of one copy of each expert.
/// Fails with kFailure, naming the first violation; that is a bug of the solver.
[[nodiscard]] Status verify(const Placement& placement, const RoutingProfile& profile, const Cluster& cluster,
                            std::size_t redundant, std::span<const double> z_star, double load_slack_ratio,
                            const std::optional<StepTimeModel>& time_model = std::nullopt);

/// Checks that every expert of every layer is on two GPUs, and on two nodes where there are several. Fails with
/// kFailure, naming the first that is not.
[[nodiscard]] Status verify_survival(const Placement& placement);

/// Checks that of every layer the robust measure of max / mean GPU load over the windows with load in it is at most
/// (1 + load_slack_ratio) times z_star [layers], with code of its own as above. Fails with kFailure, naming the first
/// layer beyond it.
[[nodiscard]] Status verify_windows(const Placement& placement, const RoutingProfile& profile, const Robust& robust,
                                    std::span<const double> z_star, double load_slack_ratio);

}  // namespace evenkeel
