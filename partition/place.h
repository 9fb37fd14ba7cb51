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

namespace evenkeel {

/// How a placement is found. Names on the command line are those of strategy_name().
enum class Strategy {
  kEvenkeel,        ///< The best that this project has: starts, annealing, GLPK; exact where the instance is small.
  kMetisGlpk,       ///< METIS on the layer-expert graph, swap descent, then GLPK blocks; no annealing.
  kContiguous,      ///< Slot p holds expert p: what engines start with.
  kRandom,          ///< A random permutation of the contiguous placement, from the seed.
  kLpt,             ///< Greedy replicas, then largest load first to the least loaded GPU.
  kEplb,            ///< DeepSeek's expert-parallel load balancer; hierarchical where groups divide over nodes.
  kMetis,           ///< METIS alone with a constraint a layer (in dispatch: on co-activations), slots repaired.
  kMetisNaive,      ///< METIS alone with one balance constraint, slots repaired.
  kExflow,          ///< ExFlow-like: traffic alone, nodes first, layer after layer exact.
  kMoetuner,        ///< MoETuner's two integer programs in GLPK.
  kMoetunerStrong,  ///< MoETuner's two stages solved well: balanced clusters, then the best matching.
};

[[nodiscard]] std::string_view strategy_name(Strategy strategy);
/// Every strategy, in the order the documentation lists them.
[[nodiscard]] const std::vector<Strategy>& all_strategies();

/// What ended a solve. Written to scores as "optimal", "ok", "time_limit", "infeasible".
enum class SolveStatus { kOptimal, kOk, kTimeLimit, kInfeasible };

/// Stages to leave out, so that what each contributes can be measured.
struct Ablation {
  bool metis = false;
  bool transport = false;
  bool search = false;
  bool glpk = false;
};

/// How an expert's tokens are split over its replicas.
enum class ReplicaSplit {
  kEven,    ///< Equal parts, as engines do.
  kUneven,  ///< The parts that minimise the largest GPU load of each layer; the placement has shares.
};

/// A running placement to plan from.
struct Replan {
  /// Of the same layers, experts and GPUs; where the cluster gives slots, GPUs may have had others. An expert's tokens
  /// are taken to be split evenly over its replicas.
  Placement running;
  /// Most slots, over all layers, whose GPU did not hold their expert before, beyond those that lost slots force.
  /// Absent: as many as it takes.
  std::optional<std::size_t> moves_max;
};

/// Slots of the layers that a profile has load in: what a share of moves is a share of.
[[nodiscard]] std::size_t loaded_slots(const RoutingProfile& profile, std::size_t slots);

struct PlaceOptions {
  Strategy strategy = Strategy::kEvenkeel;
  Objective objective;
  /// Spare slots a layer, over all GPUs. experts + redundant must divide over the GPUs, or be the cluster's slots.
  std::size_t redundant = 0;
  /// Of the placement found, whatever the strategy. With loads alone kEvenkeel and kMetisGlpk search for it too.
  ReplicaSplit split = ReplicaSplit::kEven;
  /// GPUs (with several nodes: nodes too) that may be lost with a copy of every expert left: 0 or 1. Kept by kEvenkeel,
  /// kMetisGlpk and kLpt; needs as many redundant slots as experts.
  std::size_t survive = 0;
  /// Routing groups of group-limited models; EPLB packs them to nodes. At least 1, divides the experts.
  std::size_t groups = 1;
  /// What a GPU's load is: modelled time of one step, touched experts included; absent: tokens. Kept by kEvenkeel, not
  /// with the weighted objective or an uneven split.
  std::optional<StepTimeModel> time_model;
  /// Largest accepted load above the best found for a layer, as a ratio. Range [0, 1]; 0.02 is 2 %.
  double load_slack_ratio = 0.02;
  /// Solver wall time. Not negative; finishing early is normal.
  std::chrono::duration<double> time{10.0};
  /// A budget in work units (swap proposals, roughly) instead of wall time: equal arguments then give equal results
  /// on any machine. 0 is no search.
  std::optional<std::uint64_t> work_units;
  /// How the load of several windows is weighed: each layer's best, and its cap, is of this measure of its peaks.
  /// Absent: windows are added up. Kept by kEvenkeel with the lexicographic objective, not with a budget of moves;
  /// elsewhere windows are added up.
  std::optional<Robust> robust;
  std::uint64_t seed = 1;
  /// 1 or 2. With work units the placement does not depend on it.
  std::size_t threads = 2;
  Ablation without;
  /// Whether a bound on communication is computed for the certificate.
  bool has_bound = true;
  /// The budget of moves is kept by kEvenkeel, with the lexicographic objective, and ignored by the others. Without a
  /// budget the strategies of ours name GPUs so that few slots move; published ones stay as they are.
  std::optional<Replan> replan;
};

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
