#include "partition/strategies/staged.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "partition/exact/exact_sweep.h"
#include "partition/libraries/glpk_adapter.h"
#include "partition/problem/certificate.h"
#include "partition/search/descent.h"
#include "partition/search/window_loads.h"
#include "partition/strategies/bounded.h"
#include "partition/strategies/copies.h"
#include "partition/strategies/stage.h"
#include "partition/strategies/unequal.h"
#include "partition/strategies/workbench.h"

namespace evenkeel {
namespace {

/// The hot beginning forgets any start, but its temperature is taken from one: one without structure.
void anneal_resident(Workbench& bench, double share) {
  bench.take(bench.balanced());
  double gpu_share = share;
  if (kNodeSearch.takes(bench.instance())) {
    constexpr double kNodeShare = 0.4;
    bench.refine(kNodeSearch, kNodeShare * share);
    gpu_share = (share - kNodeShare * share) / (1 - kNodeShare * share);
  }
  bench.refine(kSearch, gpu_share);
  bench.refine(kSearchDescent, 0.5);
  bench.keep_if_better();
}

void search_by_swaps(Workbench& bench, double share) {
  if (!kShake.takes(bench.instance())) return anneal_resident(bench, share);
  constexpr double kShakeShare = 0.5;
  anneal_resident(bench, share - kShakeShare);
  bench.take_best();
  bench.refine(kShake, kShakeShare);
  bench.keep_if_better();
}

void search_resident(Workbench& bench) {
  const Ablation& without = bench.run().without();
  const Instance& instance = bench.instance();
  // Starts are cheap next to the search or left out: it forgets most of them.
  constexpr double kStartShare = 0.04;
  if (without.search || bench.has_time_for(kDescent.estimate(instance), kStartShare))
    bench.try_start(kBalancedStart, kStartShare);
  if (!without.transport && bench.has_time_for(kTransportStart.estimate(instance), kStartShare))
    bench.try_start(kTransportStart, kStartShare);
  if (!without.metis && bench.has_time_for(kMetisFoldedStart.estimate(instance), kStartShare))
    bench.try_start(kMetisFoldedStart, kStartShare);
  if (!without.metis && bench.has_time_for(kMetisLayeredStart.estimate(instance), 2 * kStartShare))
    bench.try_start(kMetisLayeredStart, kStartShare);
  // Exact refinement finds little after a search, so it gets what a first look at every layer fits in, or nothing.
  const bool may_solve_blocks = has_glpk() && !without.glpk;
  const bool solves_blocks = may_solve_blocks && bench.has_time_for(kGlpkLayers.estimate(instance), 0.1);
  if (!without.search) search_by_swaps(bench, solves_blocks ? 0.87 : 0.98);
  bench.take_best();
  bench.refine(kRelabel, 0.1);
  bench.keep_if_better();
  if (solves_blocks || (without.search && may_solve_blocks)) bench.solve_blocks(0.6);
}

/// Under caps on several windows, by annealing and descent alone.
void search_windows(Workbench& bench) {
  if (!bench.instance().has_traffic()) return;
  bench.take(bench.balanced());
  if (!bench.run().without().search) bench.refine(kSearch, 0.9);
  bench.refine(kWindowDescent, 0.8);
  bench.keep_if_better();
  bench.take_best();
  bench.refine(kRelabel, 1.0);
  bench.keep_if_better();
}

void search_dispatch(Workbench& bench, const Refiner& search) {
  const Ablation& without = bench.run().without();
  std::vector<std::pair<std::string_view, Assignment>> starts{{kBalancedStart.name, bench.balanced()}};
  if (!without.metis && bench.has_time_for(kMetisCoactivationStart.estimate(bench.instance()), 0.3)) {
    bench.begin(kMetisCoactivationStart);
    starts.emplace_back(kMetisCoactivationStart.name, bench.current());
  }
  for (auto& [name, start] : starts) {
    bench.take(std::move(start));
    bench.refine(kDispatchDescent, 0.1, std::string(name) + " descent");
    bench.keep_better_layers();
  }
  if (without.search) return;
  bench.take(bench.balanced());
  bench.refine(search, 1.0);
  bench.keep_better_layers();
}

/// Of each layer the fastest of all that is found, the simplest placement among it.
void search_step(Workbench& bench) {
  bench.begin(kPackedStart);
  bench.keep_better_layers();
  search_dispatch(bench, kStepSearch);
}

}  // namespace

void search_communication(Workbench& bench) {
  if (bench.run().budget().exhausted()) return;
  const Instance& instance = bench.instance();
  if (instance.is_dispatch()) {
    bench.weighs_step() ? search_step(bench) : search_dispatch(bench, kDispatchSearch);
  } else if (instance.has_windows()) {
    search_windows(bench);
  } else if (instance.has_traffic()) {
    search_resident(bench);
  }
}

namespace {

/// Resident communication: METIS, descent, then GLPK for the rest of the budget.
void refine_from_metis(Workbench& bench) {
  const Instance& instance = bench.instance();
  if (bench.run().budget().exhausted() || !instance.has_traffic()) return;
  bench.try_start(kBalancedStart, 0.1);
  const Ablation& without = bench.run().without();
  if (without.metis) {
    // Only the exact refinement of the descent from LPT is asked for.
  } else if (bench.has_time_for(kMetisLayeredStart.estimate(instance), 0.5)) {
    bench.try_start(kMetisLayeredStart, 0.2);
  } else if (bench.has_time_for(kMetisFoldedStart.estimate(instance), 0.5)) {
    bench.try_start(kMetisFoldedStart, 0.2);
  }
  if (!without.glpk) bench.solve_blocks(0.9);
}

/// With windows the smaller robust peak of each layer; else the balanced assignment's largest loads, as ratios.
std::vector<double> best_peaks(const Problem& problem, const Workbench& bench) {
  const Instance& instance = bench.instance();
  if (!instance.has_windows()) return peak_ratios(problem.profile(), to_placement(instance, bench.balanced()));
  auto peaks = window_peaks(instance, bench.balanced());
  const auto reached = window_peaks(instance, bench.best());
  std::ranges::transform(peaks, reached, peaks.begin(), [](double best, double peak) { return std::min(best, peak); });
  return peaks;
}

enum class Exact { kWhereItFits, kNever };

/// Searched copies where there are replicas, the best largest loads, then `refine` under their caps.
template <class Refine>
Result<Draft> place_in_stages(const Problem& problem, Run& run, Exact exact, Refine&& refine) {
  EVENKEEL_TRY(instance, problem.instance(run.threads()));
  run.begin_budget();
  // Without a budget nobody looks at the bounds.
  auto bounds = run.budget().exhausted() ? std::vector<std::int64_t>(instance.layers(), 0) : problem.load_bound_units();
  std::optional<Assignment> start;
  const bool searches_copies = instance.has_replicas() && !instance.has_windows();
  if (searches_copies) {
    run.begin_stage("replicas", 0);
    EVENKEEL_TRY(found, search_copies(problem, run, bounds, instance));
    start = std::move(found);
  }
  Workbench bench(problem, instance, run, std::move(bounds));
  if (start) {
    bench.adopt(*std::move(start));
    run.end_stage(bench.value()).value_before = bench.value();
  } else if (searches_copies) {
    run.drop_stage();
  }
  const bool is_exact =
      exact == Exact::kWhereItFits && !instance.has_windows() && !problem.minimises_step() && bench.solve_exactly();
  if (!is_exact) {
    if (bench.best().empty()) bench.pack();
    if (problem.minimises_step() && !run.budget().exhausted())
      bench.weigh_step(
          make_step_goal(problem.profile(), instance, problem.cluster(), *problem.options().step, run.seed()));
    bench.balance();
    refine(bench);
  }
  Draft draft{searched_for_split(problem, run, to_placement(instance, bench.best()))};
  draft.status = is_exact ? SolveStatus::kOptimal : SolveStatus::kOk;
  draft.z_star = best_peaks(problem, bench);
  draft.has_bound = !is_exact;
  draft.instance = std::move(instance);
  draft.is_checked = true;
  draft.may_be_renamed = true;
  return draft;
}

}  // namespace

Result<Draft> place_evenkeel(const Problem& problem, Run& run) {
  if (problem.is_unequal()) return place_unequally(problem, run);
  if (problem.is_bounded()) return place_within_moves(problem, run);
  return place_in_stages(problem, run, Exact::kWhereItFits, search_communication);
}

Result<Draft> place_metis_glpk(const Problem& problem, Run& run) {
  return place_in_stages(problem, run, Exact::kNever, refine_from_metis);
}

}  // namespace evenkeel
