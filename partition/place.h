#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/result.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// How a placement is found. Names on the command line are those of strategy_name().
enum class Strategy {
  kEvenkeel,    ///< The best that this project has: metis-glpk with token paths, LPT and swaps with loads alone.
  kMetisGlpk,   ///< METIS on the layer-expert graph, swap descent, then GLPK one layer at a time.
  kContiguous,  ///< Slot p holds expert p: what engines start with.
  kRandom,      ///< A random permutation of the contiguous placement, from the seed.
  kLpt,         ///< Greedy replicas, then largest load first to the least loaded GPU.
  kEplb,        ///< DeepSeek's expert-parallel load balancer; hierarchical where groups divide over nodes.
};

[[nodiscard]] std::string_view strategy_name(Strategy strategy);
/// Every strategy, in the order the documentation lists them.
[[nodiscard]] const std::vector<Strategy>& all_strategies();

/// What ended a solve. Written to scores as "optimal", "ok", "time_limit", "infeasible".
enum class SolveStatus { kOptimal, kOk, kTimeLimit, kInfeasible };

struct PlaceOptions {
  Strategy strategy = Strategy::kEvenkeel;
  /// Spare slots a layer, over all GPUs. experts + redundant must divide over the GPUs.
  std::size_t redundant = 0;
  /// Routing groups of group-limited models; EPLB packs them to nodes. At least 1, divides the experts.
  std::size_t groups = 1;
  /// Largest accepted load above the best found for a layer, as a ratio. Range [0, 1]; 0.02 is 2 %.
  double load_slack_ratio = 0.02;
  /// Solver wall time. Not negative; finishing early is normal.
  std::chrono::duration<double> time{10.0};
  /// A budget in work units (swap proposals, roughly) instead of wall time: equal arguments then give equal results
  /// on any machine. 0 is no search.
  std::optional<std::uint64_t> work_units;
  std::uint64_t seed = 1;
};

/// One step of the solver and what it did to the objective.
struct StageReport {
  std::string name;
  double seconds = 0;
  /// Step 2's objective (communication) before and after; imbalance where there is no communication data.
  double value_before = 0;
  double value_after = 0;
};

/// Objective, bound and gap on the fitting data.
struct Certificate {
  double value = 0;
  std::optional<double> bound;
  /// (value - bound) / bound; absent without a bound or where it is 0.
  std::optional<double> gap;
  /// Lower bound of each layer's largest GPU load, as a ratio to the layer's mean [layers].
  std::vector<double> load_bound;
  /// Best largest GPU load found for each layer, as a ratio to its mean [layers]: what the slack applies to.
  std::vector<double> z_star;
};

struct Solution {
  Placement placement;
  SolveStatus status = SolveStatus::kOk;
  double solve_seconds = 0;
  Certificate certificate{};
  std::vector<StageReport> stages{};
};

/// Called with the name of each stage as it starts.
using StageObserver = std::function<void(std::string_view stage)>;

/// Places every expert of every layer on a GPU slot: first the best largest load of each layer, then least
/// communication with every layer's load at most (1 + slack) times that best.
///
/// Pure: no I/O, no clock reads but the budget. With work_units equal arguments give equal results; with wall time the
/// result depends on machine speed. Thread-safe (METIS calls are serialised). Every placement of ours has passed the
/// verifier; baselines may hold an expert twice on a GPU.
/// Fails: kInvalidInput, kInfeasible.
[[nodiscard]] Result<Solution> place(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                     const StageObserver& observer = {});

}  // namespace evenkeel
