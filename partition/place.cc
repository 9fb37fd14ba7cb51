#include "partition/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "partition/baseline/eplb.h"
#include "partition/baseline/exflow.h"
#include "partition/baseline/metis_naive.h"
#include "partition/baseline/moetuner.h"
#include "partition/baseline/moetuner_strong.h"
#include "partition/baseline/random.h"
#include "partition/cost/spectral_bound.h"
#include "partition/cost/verify.h"
#include "partition/foundation/budget.h"
#include "partition/foundation/check.h"
#include "partition/model/instance.h"
#include "partition/search/window_loads.h"
#include "partition/strategies/replan.h"
#include "partition/strategies/replicate.h"
#include "partition/strategies/stages.h"
#include "partition/strategies/unequal.h"
#include "partition/warmstart/metis_coactivation.h"
#include "partition/warmstart/metis_layered.h"

namespace evenkeel {
namespace {

constexpr std::pair<Strategy, std::string_view> kNames[] = {{Strategy::kEvenkeel, "evenkeel"},
                                                            {Strategy::kMetisGlpk, "metis-glpk"},
                                                            {Strategy::kContiguous, "contiguous"},
                                                            {Strategy::kRandom, "random"},
                                                            {Strategy::kLpt, "lpt"},
                                                            {Strategy::kEplb, "eplb"},
                                                            {Strategy::kMetis, "metis"},
                                                            {Strategy::kMetisNaive, "metis-naive"},
                                                            {Strategy::kExflow, "exflow"},
                                                            {Strategy::kMoetuner, "moetuner"},
                                                            {Strategy::kMoetunerStrong, "moetuner-strong"}};

/// A cluster's slots are the only measure of redundancy that it has.
Status check_slots(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options) {
  const std::size_t experts = profile.shape.experts;
  const std::size_t slots = cluster.slots_in_all();
  const std::size_t wanted = experts * (options.problem.survive + 1);
  if (slots < wanted) {
    return infeasible(
        fmt::format("{} slots on {} GPUs are too few for {} experts{}; {} more would do: 'slots' of the cluster file, "
                    "on any GPUs, or more "
                    "redundant ones from the start",
                    slots, cluster.gpus - static_cast<std::size_t>(std::ranges::count(cluster.slots, 0U)), experts,
                    options.problem.survive > 0 ? " twice" : "", wanted - slots));
  }
  if (options.problem.redundant == slots - experts) return {};
  return invalid_input(
      fmt::format("{} redundant slots are asked for, but the cluster's {} slots leave {} for {} experts; "
                  "give one of the two",
                  options.problem.redundant, slots, slots - experts, experts));
}

Status validate(const PlaceOptions& options, const RoutingProfile& profile, const Cluster& cluster) {
  if (!(options.problem.load_slack_ratio >= 0 && options.problem.load_slack_ratio <= 1)) {
    return invalid_input(fmt::format("slack is {}; give 0 to 1 (0.02 is 2 %)", options.problem.load_slack_ratio));
  }
  if (!(options.effort.time.count() >= 0 && options.effort.time <= std::chrono::hours(1000))) {
    return invalid_input(fmt::format("time is {} s; give 0 or more, at most 1000 h", options.effort.time.count()));
  }
  if (options.effort.threads < 1 || options.effort.threads > 2) {
    return invalid_input(fmt::format("threads is {}; give 1 or 2", options.effort.threads));
  }
  if (options.problem.objective.weighted && options.problem.objective.comm == Comm::kDispatch &&
      !profile.paths.empty()) {
    return invalid_input("the weighted objective is a sum over resident communication; ask for resident communication");
  }
  if (options.problem.redundant > profile.shape.experts * (cluster.gpus - 1)) {
    return infeasible(fmt::format(
        "{} redundant slots for {} experts on {} GPUs would hold an expert twice on a GPU; at most {} are of use",
        options.problem.redundant, profile.shape.experts, cluster.gpus, profile.shape.experts * (cluster.gpus - 1)));
  }
  if (options.problem.groups == 0 || profile.shape.experts % options.problem.groups != 0) {
    return invalid_input(fmt::format("groups is {}; give a number that divides the {} experts", options.problem.groups,
                                     profile.shape.experts));
  }
  if (!cluster.slots.empty()) EVENKEEL_TRY_STATUS(check_slots(profile, cluster, options));
  EVENKEEL_TRY_STATUS(check_survival(options, profile.shape.experts, cluster));
  if (!options.problem.replan) return {};
  if (options.problem.replan->moves_max && options.problem.objective.weighted) {
    return invalid_input("the weighted objective has no budget of moves; ask for the lexicographic one");
  }
  return check_running(options.problem.replan->running, profile, cluster, options.problem.redundant);
}

/// The budget of a solver whose instance took `setup` to make: a little of that comes on top of the time, so that
/// short runs are runs.
Budget budget_of(const PlaceOptions& options, double setup_seconds) {
  if (options.effort.work_units) return Budget::work(*options.effort.work_units);
  const double time = options.effort.time.count();
  const double on_top = std::min(setup_seconds, 0.05 * time + 0.2);
  return Budget::wall(std::chrono::duration<double>(std::max(0.0, time - setup_seconds + on_top)));
}

/// Whether a budget of moves is to be kept and can be exceeded.
bool is_bounded(const PlaceOptions& options) {
  if (options.strategy != Strategy::kEvenkeel || !options.problem.replan || !options.problem.replan->moves_max)
    return false;
  const Placement& running = options.problem.replan->running;
  return *options.problem.replan->moves_max < running.layers() * running.slots();
}

/// An instance, and what making it took.
struct Prepared {
  Instance instance;
  double setup_seconds;
};

Result<Prepared> prepare(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options) {
  const Budget clock = Budget::wall(std::chrono::hours(1));
  EVENKEEL_TRY(instance, make_instance(profile, cluster, options.problem.redundant, options.problem.objective,
                                       options.effort.threads, options.problem.survive + 1));
  if (profile.windows.size() > 1 && weighs_windows(options)) fit_windows(profile, *options.problem.robust, instance);
  return Prepared{std::move(instance), clock.elapsed().count()};
}

/// Bounds of each layer's largest load, rounded down to load units.
std::vector<std::int64_t> bound_units(const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant) {
  std::vector<std::int64_t> units;
  for (const double tokens : load_bounds(profile, cluster.gpus, redundant))
    units.push_back(static_cast<std::int64_t>(tokens * static_cast<double>(kLoadUnitsPerToken)));
  return units;
}

/// Fills in the certificate of a solved placement, as a stage of its own. Its time comes on top of the solver's, so a
/// bound that takes long is left out of a short run.
void certify(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
             const Instance* instance, Solution& solution) {
  const Budget clock = Budget::wall(std::chrono::hours(1));
  const auto z_star = std::exchange(solution.certificate.z_star, {});
  solution.certificate = value_of(profile, cluster, options.problem.objective, solution.placement);
  Certificate& certificate = solution.certificate;
  std::optional<double> bound;
  // The bound is of an even split.
  if (options.diagnostics.has_bound && instance != nullptr && instance->has_traffic() &&
      !solution.placement.fields().shares) {
    constexpr double kSecondsUnderWork = 1.0;
    const double seconds = options.effort.work_units ? kSecondsUnderWork : 0.2 + 0.05 * options.effort.time.count();
    if (const auto iterations = bound_iterations(*instance, seconds))
      bound = communication_bound(*instance, *iterations);
  }
  set_bound(options.problem.objective, !profile.paths.empty(), bound, certificate);
  for (std::size_t layer = 0; layer < z_star.size(); ++layer)
    certificate.z_star[layer] = std::min(certificate.z_star[layer], z_star[layer]);
  if (instance != nullptr && bound) {
    solution.stages.push_back({"certificate", clock.elapsed().count(), certificate.value, certificate.value, {}});
  }
}

/// Baselines that look at an instance: an assignment, and whether they finished.
struct BaselineResult {
  std::optional<Assignment> assignment;
  bool finished = true;
};

BaselineResult run_baseline(const Instance& instance, const PlaceOptions& options,
                            const std::vector<std::int64_t>& bounds, Budget& budget, const StageObserver& observer) {
  const auto metis = [&](auto estimate, auto&& make) -> BaselineResult {
    // METIS cannot be interrupted.
    if (budget.is_wall() && estimate > budget.remaining()) return {std::nullopt, false};
    return {make(), true};
  };
  switch (options.strategy) {
    case Strategy::kMetis:
      if (instance.is_dispatch()) {
        return metis(metis_coactivation_estimate(instance),
                     [&] { return metis_coactivation_assignment(instance, options.effort.seed); });
      }
      return metis(metis_layered_estimate(instance),
                   [&] { return metis_layered_assignment(instance, options.effort.seed); });
    case Strategy::kMetisNaive:
      return metis(metis_naive_estimate(instance),
                   [&] { return metis_naive_assignment(instance, options.effort.seed); });
    case Strategy::kExflow:
      return {exflow_assignment(instance, budget)};
    case Strategy::kMoetuner: {
      auto result = moetuner_assignment(instance, budget);
      return {std::move(result.assignment), result.finished};
    }
    default: {
      Stages stages(instance, options, bounds, budget, observer);
      stages.pack();
      if (options.strategy == Strategy::kLpt) return {stages.assignment()};
      stages.balance();
      return {moetuner_strong_assignment(instance, stages.assignment(), budget)};
    }
  }
}

/// Published strategies that need no instance.
Result<Placement> simple_placement(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options) {
  if (options.strategy == Strategy::kRandom)
    return random_placement(profile, cluster, options.problem.redundant, options.effort.seed);
  if (options.strategy == Strategy::kEplb)
    return eplb_placement(profile, cluster, options.problem.redundant, options.problem.groups);
  return contiguous_placement(profile.shape.layer_ids, profile.shape.experts, options.problem.redundant, cluster.gpus,
                              cluster.nodes);
}

Result<Solution> place_simply(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options) {
  const Budget clock = Budget::wall(std::chrono::hours(1));
  EVENKEEL_TRY(placement, simple_placement(profile, cluster, options));
  Budget budget = budget_of(options, clock.elapsed().count());
  Solution solution{with_split(profile, options, budget, std::move(placement))};
  solution.solve_seconds = clock.elapsed().count();
  EVENKEEL_TRY(instance, make_instance(profile, cluster, options.problem.redundant, options.problem.objective,
                                       options.effort.threads));
  certify(profile, cluster, options, &instance, solution);
  return solution;
}

Result<Solution> place_baseline(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                const StageObserver& observer) {
  EVENKEEL_TRY(prepared, prepare(profile, cluster, options));
  const Instance& instance = prepared.instance;
  Budget budget = budget_of(options, prepared.setup_seconds);
  auto result =
      run_baseline(instance, options, bound_units(profile, cluster, options.problem.redundant), budget, observer);
  if (!result.assignment) {
    return time_limit(fmt::format("{} found no placement in its time; give more", strategy_name(options.strategy)));
  }
  Solution solution{with_split(profile, options, budget, to_placement(instance, *result.assignment))};
  if (options.problem.survive > 0) EVENKEEL_TRY_STATUS(verify_survival(solution.placement));
  if (!result.finished) solution.status = SolveStatus::kTimeLimit;
  solution.solve_seconds = prepared.setup_seconds + budget.elapsed().count();
  certify(profile, cluster, options, &instance, solution);
  return solution;
}

/// Puts the best robust peaks found in place of those of all traffic, and verifies the placement against them.
Status check_windows(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                     const Instance& instance, const Stages& stages, Solution& solution) {
  auto& z_star = solution.certificate.z_star;
  z_star = window_peaks(instance, *stages.balanced());
  const auto reached = window_peaks(instance, stages.assignment());
  std::ranges::transform(z_star, reached, z_star.begin(),
                         [](double best, double peak) { return std::min(best, peak); });
  // Loads alone have no communication to trade load for.
  const double slack_ratio = profile.paths.empty() ? 0.0 : options.problem.load_slack_ratio;
  EVENKEEL_TRY_STATUS(verify(solution.placement, profile, cluster, options.problem.redundant, {}, slack_ratio));
  return verify_windows(solution.placement, profile, *options.problem.robust, z_star, slack_ratio);
}

Result<Solution> place_in_stages(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                 const StageObserver& observer) {
  EVENKEEL_TRY(prepared, prepare(profile, cluster, options));
  Instance& instance = prepared.instance;
  Budget budget = budget_of(options, prepared.setup_seconds);
  // Without a budget nobody looks at the bounds.
  auto bounds = budget.exhausted() ? std::vector<std::int64_t>(instance.layers(), 0)
                                   : bound_units(profile, cluster, options.problem.redundant);
  std::optional<Assignment> start;
  if (instance.has_replicas() && !instance.has_windows()) {
    if (observer) observer("replicas");
    EVENKEEL_TRY(found, search_copies(profile, cluster, options, bounds, budget, instance));
    start = std::move(found);
  }
  const double start_seconds = budget.elapsed().count();
  Stages stages(instance, options, std::move(bounds), budget, observer);
  const bool is_exact = options.strategy == Strategy::kEvenkeel && !instance.has_windows() && stages.solve_exactly();
  if (!is_exact) {
    start ? stages.begin("replicas", *start, start_seconds) : stages.pack();
    stages.balance();
    options.strategy == Strategy::kMetisGlpk ? stages.refine_from_metis() : stages.search();
  }
  Solution solution{to_placement(instance, stages.assignment())};
  if (options.problem.replan)
    solution.placement =
        with_few_moves(options.problem.replan->running, solution.placement, profile, options.problem.objective);
  solution.placement = with_split(profile, options, budget, std::move(solution.placement));
  solution.solve_seconds = prepared.setup_seconds + budget.elapsed().count();
  solution.stages = std::move(stages.reports());
  solution.certificate.z_star = peak_ratios(profile, to_placement(instance, *stages.balanced()));
  certify(profile, cluster, options, is_exact ? nullptr : &instance, solution);
  if (is_exact) set_bound(solution.certificate.value, solution.certificate);
  if (instance.has_windows()) {
    EVENKEEL_TRY_STATUS(check_windows(profile, cluster, options, instance, stages, solution));
    return solution;
  }
  // Copies that had to go to other nodes have their own loads.
  const bool has_cap = !options.problem.objective.weighted && !(options.problem.survive > 0 && cluster.nodes > 1);
  // Loads alone have no communication to trade load for.
  const double slack_ratio = profile.paths.empty() ? 0.0 : options.problem.load_slack_ratio;
  EVENKEEL_TRY_STATUS(verify(solution.placement, profile, cluster, options.problem.redundant,
                             has_cap ? std::span<const double>(solution.certificate.z_star) : std::span<const double>(),
                             slack_ratio));
  if (options.problem.survive > 0) EVENKEEL_TRY_STATUS(verify_survival(solution.placement));
  if (is_exact || (solution.certificate.gap && *solution.certificate.gap < 1e-12)) {
    solution.status = SolveStatus::kOptimal;
  }
  return solution;
}

Result<Solution> place_within_moves(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                    const StageObserver& observer) {
  EVENKEEL_TRY(prepared, prepare(profile, cluster, options));
  Budget budget = budget_of(options, prepared.setup_seconds);
  const auto bounds = bound_units(profile, cluster, options.problem.redundant);
  EVENKEEL_TRY(planned, replan(profile, cluster, options, prepared.instance, bounds, budget, observer));
  Solution solution{with_split(profile, options, budget, std::move(planned.placement))};
  solution.solve_seconds = prepared.setup_seconds + budget.elapsed().count();
  solution.stages = std::move(planned.stages);
  solution.certificate.z_star = peak_ratios(profile, planned.balanced);
  // The bound is of the copies that the instance has.
  certify(profile, cluster, options, prepared.instance.has_replicas() ? nullptr : &prepared.instance, solution);
  if (planned.duplicates == 0) {
    EVENKEEL_TRY_STATUS(verify(solution.placement, profile, cluster, options.problem.redundant,
                               solution.certificate.z_star,
                               profile.paths.empty() ? 0.0 : options.problem.load_slack_ratio));
  }
  EVENKEEL_TRY(moves, count_moves(options.problem.replan->running, solution.placement));
  if (moves > *options.problem.replan->moves_max) {
    return failure(fmt::format("verifier: {} slots move; the budget is {}", moves, *options.problem.replan->moves_max));
  }
  return solution;
}

/// What a strategy other than ours does with GPUs that are not alike.
Result<Solution> place_on_unequal(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                  const StageObserver& observer) {
  if (options.strategy != Strategy::kEvenkeel) {
    return infeasible(fmt::format("strategy {} is for GPUs that are alike; give {}", strategy_name(options.strategy),
                                  strategy_name(Strategy::kEvenkeel)));
  }
  const Budget clock = Budget::wall(std::chrono::hours(1));
  Budget budget = budget_of(options, 0);
  EVENKEEL_TRY(solution, place_unequally(profile, cluster, options, budget, observer));
  solution.solve_seconds = clock.elapsed().count();
  return solution;
}

Result<Solution> place_by_strategy(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                   const StageObserver& observer) {
  if (is_unequal(cluster, options, profile.shape.experts)) return place_on_unequal(profile, cluster, options, observer);
  if (is_bounded(options)) return place_within_moves(profile, cluster, options, observer);
  switch (options.strategy) {
    case Strategy::kContiguous:
    case Strategy::kRandom:
    case Strategy::kEplb:
      return place_simply(profile, cluster, options);
    case Strategy::kEvenkeel:
    case Strategy::kMetisGlpk:
      return place_in_stages(profile, cluster, options, observer);
    default:
      return place_baseline(profile, cluster, options, observer);
  }
}

}  // namespace

bool weighs_windows(const PlaceOptions& options) {
  return options.problem.robust && options.strategy == Strategy::kEvenkeel && !options.problem.objective.weighted &&
         !is_bounded(options) && options.problem.survive == 0 && options.problem.split == ReplicaSplit::kEven;
}

std::string_view strategy_name(Strategy strategy) {
  return std::ranges::find(kNames, strategy, &std::pair<Strategy, std::string_view>::first)->second;
}

const std::vector<Strategy>& all_strategies() {
  static const std::vector<Strategy> all = [] {
    std::vector<Strategy> strategies;
    for (const auto& [strategy, name] : kNames) strategies.push_back(strategy);
    return strategies;
  }();
  return all;
}

Result<Solution> place(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                       const StageObserver& observer) {
  EVENKEEL_TRY_STATUS(cluster.validate());
  EVENKEEL_TRY_STATUS(validate(options, profile, cluster));
  EVENKEEL_TRY_STATUS(check_loads(profile));
  EVENKEEL_TRY(solution, place_by_strategy(profile, cluster, options, observer));
  if (options.problem.replan) {
    const Placement& running = options.problem.replan->running;
    EVENKEEL_TRY(moves, count_moves(running, solution.placement));
    const bool keeps_budget = options.strategy == Strategy::kEvenkeel;
    const std::size_t forced = solution.replan ? solution.replan->moves_forced : 0;
    solution.replan = {moves, forced,
                       keeps_budget && options.problem.replan->moves_max
                           ? std::optional(forced + *options.problem.replan->moves_max)
                           : std::nullopt,
                       mean_of_loaded(peak_ratios(profile, running, cluster)),
                       mean_of_loaded(peak_ratios(profile, solution.placement, cluster))};
  }
  return solution;
}

}  // namespace evenkeel
