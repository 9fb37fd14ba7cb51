#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/model/robust.h"
#include "partition/model/routing_profile.h"
#include "partition/problem/block_report.h"
#include "partition/problem/certificate.h"
#include "partition/problem/options.h"

namespace evenkeel {

[[nodiscard]] std::string_view strategy_name(Strategy strategy);
/// Every strategy, in the order the documentation lists them.
[[nodiscard]] const std::vector<Strategy>& all_strategies();

/// What ended a solve. Written to scores as "optimal", "ok", "time_limit", "infeasible".
enum class SolveStatus { kOptimal, kOk, kTimeLimit, kInfeasible };

/// Slots of the layers that a profile has load in: what a share of moves is a share of.
[[nodiscard]] std::size_t loaded_slots(const RoutingProfile& profile, std::size_t slots);

/// Whether windows are weighed against one another, rather than added up.
[[nodiscard]] bool weighs_windows(const PlaceOptions& options);

/// One step of the solver and what it did to the objective.
struct StageReport {
  std::string name;
  double seconds = 0;
  /// The objective (communication, J, or imbalance where there is no communication data) before and after. A start may
  /// be beyond the caps, and need not be what the next stage goes on with: the best within the caps is kept.
  double value_before = 0;
  double value_after = 0;
  /// What exact solves of blocks did and prove; for the stages that make them.
  std::optional<BlockReport> blocks;
};

/// What a change from the running placement moves and what for.
struct ReplanReport {
  std::size_t moves = 0;
  /// Moves of these that a valid placement needs, because GPUs lost slots.
  std::size_t moves_forced = 0;
  /// The budget, where one was kept.
  std::optional<std::size_t> moves_max;
  /// Mean over loaded layers of max / mean GPU load on the fitted traffic: of the running placement, and of the new
  /// one.
  double imbalance_before = 0;
  double imbalance_after = 0;
};

struct Solution {
  Placement placement;
  SolveStatus status = SolveStatus::kOk;
  double solve_seconds = 0;
  Certificate certificate{};
  std::vector<StageReport> stages{};
  /// With a running placement only.
  std::optional<ReplanReport> replan{};
};

/// Called with the name of each stage as it starts.
using StageObserver = std::function<void(std::string_view stage)>;

/// Places every expert of every layer on a GPU slot. With the lexicographic objective: first the best largest load of
/// each layer, then least communication with every layer's load at most (1 + slack) times that best. With the weighted
/// one: least J.
///
/// Pure: no I/O, no clock reads but the budget. With work_units equal arguments give equal results; with wall time the
/// result depends on machine speed. Thread-safe (METIS calls are serialised). Every placement of ours has passed the
/// verifier; baselines may hold an expert twice on a GPU, and so may a placement whose budget of moves did not pay for
/// repairing those of the running one. With such a budget both steps are about the placements within it; slots that
/// keep their expert's GPU keep their expert. Fails: kInvalidInput, kInfeasible.
[[nodiscard]] Result<Solution> place(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                     const StageObserver& observer = {});

}  // namespace evenkeel
