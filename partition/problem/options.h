#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "partition/cost/step_time.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/model/robust.h"

namespace evenkeel {

/// How a placement is found. Names on the command line are those of strategy_name().
enum class Strategy {
  kEvenkeel,          ///< The best that this project has: starts, annealing, GLPK; exact where the instance is small.
  kMetisGlpk,         ///< METIS on the layer-expert graph, swap descent, then GLPK blocks; no annealing.
  kContiguous,        ///< Slot p holds expert p: what engines start with.
  kRandom,            ///< A random permutation of the contiguous placement, from the seed.
  kLpt,               ///< Greedy replicas, then largest load first to the least loaded GPU.
  kEplb,              ///< DeepSeek's expert-parallel load balancer, global: nodes do not count.
  kEplbHierarchical,  ///< The same with the routing groups packed to nodes first; where they divide over the nodes.
  kMetis,             ///< METIS alone with a constraint a layer (in dispatch: on co-activations), slots repaired.
  kMetisNaive,        ///< METIS alone with one balance constraint, slots repaired.
  kExflow,            ///< ExFlow-like: traffic alone, nodes first, layer after layer exact.
  kMoetuner,          ///< MoETuner's two integer programs in GLPK.
  kMoetunerStrong,    ///< MoETuner's two stages solved well: balanced clusters, then the best matching.
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
  bool operator==(const Replan&) const = default;
};

/// What is asked for, beside traffic and cluster. Which strategy honours which of it, and what becomes of the rest, is
/// in the table of partition/strategies/table.h.
struct ProblemOptions {
  Objective objective;
  /// Redundant slots a layer, over all GPUs. experts + redundant must divide over the GPUs, or be the cluster's slots.
  std::size_t redundant = 0;
  /// Of the placement found, whatever the strategy.
  ReplicaSplit split = ReplicaSplit::kEven;
  /// GPUs (with several nodes: nodes too) that may be lost with a copy of every expert left: 0 or 1. Needs as many
  /// redundant slots as experts.
  std::size_t survive = 0;
  /// Routing groups of group-limited models; hierarchical EPLB packs them to nodes. At least 1, divides the experts.
  std::size_t groups = 1;
  /// What a GPU's load is: modelled time of one step, touched experts included; absent: tokens. Not with the weighted
  /// objective or an uneven split.
  std::optional<StepTimeModel> time_model;
  /// Largest accepted load above the best found for a layer, as a ratio. Range [0, 1]; 0.02 is 2 %.
  double load_slack_ratio = 0.02;
  /// Where token paths are dispatched: load and communication are weighed by the modelled step of traffic to come, and
  /// no cap holds. Only with the lexicographic objective, an even split and equal GPUs, without a binding budget of
  /// moves or copies that survive; elsewhere, and absent: the cap by load_slack_ratio.
  std::optional<StepTimeModel> step;
  /// How the load of several windows is weighed: each layer's best, and its cap, is of this measure of its peaks.
  /// Absent: windows are added up. Only with the lexicographic objective and an even split, without a binding budget of
  /// moves or copies that survive; elsewhere windows are added up.
  std::optional<Robust> robust;
  /// Without a budget of moves the strategies of ours name GPUs so that few slots move; published ones stay as they
  /// are. The budget needs the lexicographic objective.
  std::optional<Replan> replan;
  bool operator==(const ProblemOptions&) const = default;
};

/// How long and how hard to look.
struct Effort {
  /// Solver wall time. Not negative; finishing early is normal.
  std::chrono::duration<double> time{10.0};
  /// A budget in work units (swap proposals, roughly) instead of wall time: equal arguments then give equal results
  /// on any machine. 0 is no search.
  std::optional<std::uint64_t> work_units;
  std::uint64_t seed = 1;
  /// 1 or 2. With work units the placement does not depend on it.
  std::size_t threads = 2;
  bool operator==(const Effort&) const = default;
};

/// Stages to leave out, so that what each contributes can be measured.
struct Ablation {
  bool metis = false;
  bool transport = false;
  bool search = false;
  bool glpk = false;
  bool operator==(const Ablation&) const = default;
};

/// For measurements, not for users' results.
struct Diagnostics {
  Ablation without;
  /// Whether a bound on communication is computed for the certificate.
  bool has_bound = true;
  bool operator==(const Diagnostics&) const = default;
};

struct PlaceOptions {
  Strategy strategy = Strategy::kEvenkeel;
  ProblemOptions problem;
  Effort effort;
  Diagnostics diagnostics;
  bool operator==(const PlaceOptions&) const = default;
};

}  // namespace evenkeel
