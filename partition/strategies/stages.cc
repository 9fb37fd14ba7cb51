#include "partition/strategies/stages.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "partition/baseline/eplb.h"
#include "partition/exact/exact_dp.h"
#include "partition/exact/exact_sweep.h"
#include "partition/search/anneal.h"
#include "partition/search/balance.h"
#include "partition/search/descent.h"
#include "partition/search/dispatch_search.h"
#include "partition/search/layer_descent.h"
#include "partition/search/relabel.h"
#include "partition/search/shake.h"
#include "partition/search/window_balance.h"
#include "partition/search/window_loads.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_coactivation.h"
#include "partition/warmstart/metis_folded.h"
#include "partition/warmstart/metis_layered.h"
#include "partition/warmstart/transport.h"

namespace evenkeel {
namespace {

/// Swap proposals that take a second on two cores of 2024, to weigh estimates in seconds against a work budget.
constexpr double kUnitsPerSecond = 30e6;

std::int64_t with_slack(std::int64_t units, double slack_ratio) {
  const long double cap = static_cast<long double>(units) * (1.0L + static_cast<long double>(slack_ratio));
  return static_cast<std::int64_t>(std::floor(cap));
}

/// Sum over loaded layers of max / mean load, with windows of their robust peaks, and the number of layers.
std::pair<double, std::size_t> peak_sum(const Instance& instance, const Assignment& assignment) {
  if (instance.has_windows()) {
    const auto peaks = window_peaks(instance, assignment);
    const auto unloaded = static_cast<std::size_t>(std::ranges::count(peaks, 0.0));
    return {std::accumulate(peaks.begin(), peaks.end(), 0.0), peaks.size() - unloaded};
  }
  double sum = 0;
  std::size_t loaded = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const auto load = gpu_load_units(instance, assignment, layer);
    const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
    if (total == 0) continue;
    sum += static_cast<double>(std::ranges::max(load)) * static_cast<double>(load.size()) / static_cast<double>(total);
    ++loaded;
  }
  return {sum, loaded};
}

}  // namespace

Stages::Stages(const Instance& instance, const PlaceOptions& options, std::vector<std::int64_t> bound_units,
               Budget& budget, const StageObserver& observer)
    : instance_(instance),
      options_(options),
      bound_units_(std::move(bound_units)),
      budget_(budget),
      observer_(observer),
      goal_{{}, options.problem.objective.weighted ? 1.0 : 0.0} {}

void Stages::pack() {
  run("lpt", 1.0, [&](BudgetSlice&) { return lpt_assignment(instance_, options_.effort.threads); });
  best_ = current_;
}

void Stages::begin(const std::string& name, Assignment assignment, double seconds) {
  run(name, 1.0, [&](BudgetSlice&) { return std::move(assignment); }).seconds = seconds;
  best_ = current_;
}

bool Stages::solve_exactly() {
  if (budget_.exhausted() || !exact_dp_fits(instance_)) return false;
  run("exact", 1.0, [&](BudgetSlice&) {
    const auto largest = exact_largest_loads(instance_);
    balanced_ = exact_dp(instance_, {largest, 0.0});
    set_goal(largest);
    const std::vector<std::int64_t> none(instance_.layers(), std::numeric_limits<std::int64_t>::max());
    return *exact_dp(instance_, {goal_.is_cap() ? goal_.threshold_units : none, goal_.peak_weight});
  });
  best_ = current_;
  return true;
}

void Stages::balance() {
  // Searches for an uneven split and for second nodes come after.
  const bool is_last = options_.problem.split == ReplicaSplit::kEven && options_.problem.survive == 0;
  const double share_of_loads_alone = is_last ? 1.0 : 0.3;
  run("balance", has_communication() ? 0.05 : share_of_loads_alone, [&](BudgetSlice& slice) {
    Assignment assignment = current_.assignment;
    if (instance_.has_windows()) {
      balance_windows(instance_, slice, options_.effort.seed, options_.effort.threads, assignment);
      return assignment;
    }
    balance_loads(instance_, bound_units_, slice, options_.effort.seed, options_.effort.threads, assignment);
    return assignment;
  });
  best_ = current_;
  balanced_ = current_.assignment;
  if (!instance_.has_windows()) return set_goal(largest_loads(instance_, best_.assignment));
  goal_.window_peak_max = window_peaks(instance_, best_.assignment);
  for (double& peak : goal_.window_peak_max) peak *= 1.0 + options_.problem.load_slack_ratio;
}

bool Stages::has_communication() const { return instance_.has_traffic() || instance_.is_dispatch(); }

void Stages::set_goal(const std::vector<std::int64_t>& best_units) {
  goal_.threshold_units = goal_.is_cap() ? best_units : bound_units_;
  // Loads alone have no communication to trade load for.
  if (!goal_.is_cap() || !has_communication()) return;
  for (std::int64_t& units : goal_.threshold_units) units = with_slack(units, options_.problem.load_slack_ratio);
}

void Stages::search() {
  if (budget_.exhausted()) return;
  if (instance_.is_dispatch()) {
    search_dispatch();
  } else if (instance_.has_windows()) {
    search_windows();
  } else if (instance_.has_traffic()) {
    search_resident();
  }
}

void Stages::search_resident() {
  // Starts are cheap next to the search or left out: it forgets most of them.
  constexpr double kStartShare = 0.04;
  if (options_.diagnostics.without.search || has_time_for(descent_estimate(instance_), kStartShare))
    try_start("lpt", kStartShare, [&] { return *balanced_; });
  if (!options_.diagnostics.without.transport && has_time_for(transport_estimate(instance_), kStartShare))
    try_start("transport", kStartShare, [&] { return transport_assignment(instance_, *balanced_); });
  if (!options_.diagnostics.without.metis && has_time_for(metis_folded_estimate(instance_), kStartShare))
    try_start("metis folded", kStartShare, [&] { return metis_folded_assignment(instance_, options_.effort.seed); });
  if (!options_.diagnostics.without.metis && has_time_for(metis_layered_estimate(instance_), 2 * kStartShare))
    try_start("metis layered", kStartShare, [&] { return metis_layered_assignment(instance_, options_.effort.seed); });
  // Exact refinement finds little after a search, so it gets what a first look at every layer fits in, or nothing.
  const bool has_glpk = !options_.diagnostics.without.glpk && has_time_for(sweep_estimate(instance_), 0.1);
  if (!options_.diagnostics.without.search) search_by_swaps(has_glpk ? 0.87 : 0.98);
  current_ = best_;
  run("relabel", 0.1, [&](BudgetSlice& slice) {
    Arrangement arrangement(instance_, current_.assignment);
    relabel(arrangement, slice);
    return arrangement.assignment();
  });
  keep_current_if_better();
  if (has_glpk || (options_.diagnostics.without.search && !options_.diagnostics.without.glpk)) refine_exactly(0.6);
}

void Stages::search_windows() {
  if (!instance_.has_traffic()) return;
  set_current(*balanced_);
  if (!options_.diagnostics.without.search) {
    run("search", 0.9, [&](BudgetSlice& slice) {
      return anneal(instance_, current_.assignment, goal_, slice,
                    {Level::kGpus, options_.effort.seed, options_.effort.threads});
    });
  }
  run("search descent", 0.8, [&](BudgetSlice& slice) {
    Arrangement arrangement(instance_, current_.assignment);
    descend_windows(arrangement, goal_.window_peak_max, *balanced_, slice);
    return arrangement.assignment();
  });
  keep_current_if_better();
  current_ = best_;
  run("relabel", 1.0, [&](BudgetSlice& slice) {
    Arrangement arrangement(instance_, current_.assignment);
    relabel(arrangement, slice);
    return arrangement.assignment();
  });
  keep_current_if_better();
}

void Stages::search_by_swaps(double share) {
  if (instance_.layers() * instance_.items() > kShakenItemsMax) return anneal_resident(share);
  constexpr double kShakeShare = 0.5;
  anneal_resident(share - kShakeShare);
  current_ = best_;
  run("shake", kShakeShare,
      [&](BudgetSlice& slice) { return shake(instance_, current_.assignment, goal_, slice, options_.effort.seed); });
  keep_current_if_better();
}

void Stages::anneal_resident(double share) {
  // The hot beginning forgets any start, but its temperature is taken from one: one without structure.
  set_current(*balanced_);
  double gpu_share = share;
  if (instance_.nodes > 1 && instance_.gpus_per_node() > 1 && !instance_.has_replicas()) {
    constexpr double kNodeShare = 0.4;
    run("search nodes", kNodeShare * share, [&](BudgetSlice& slice) {
      Assignment nodes = current_.assignment;
      for (GpuIndex& part : nodes.cells()) part = static_cast<GpuIndex>(instance_.node_of(part));
      const AnnealOptions options{Level::kNodes, options_.effort.seed, options_.effort.threads};
      return lpt_within_nodes(instance_, anneal(instance_, std::move(nodes), goal_, slice, options));
    });
    gpu_share = (share - kNodeShare * share) / (1 - kNodeShare * share);
  }
  run("search", gpu_share, [&](BudgetSlice& slice) {
    return anneal(instance_, current_.assignment, goal_, slice,
                  {Level::kGpus, options_.effort.seed, options_.effort.threads});
  });
  run("search descent", 0.5, [&](BudgetSlice& slice) {
    Arrangement arrangement(instance_, current_.assignment);
    descend(arrangement, goal_, kHardCap, slice);
    if (restore_caps(arrangement, goal_, *balanced_)) descend(arrangement, goal_, kHardCap, slice);
    return arrangement.assignment();
  });
  keep_current_if_better();
}

void Stages::search_dispatch() {
  std::vector<std::pair<std::string, Assignment>> starts{{"lpt", *balanced_}};
  if (!options_.diagnostics.without.metis && has_time_for(metis_coactivation_estimate(instance_), 0.3)) {
    run("metis co-activation start", 1.0,
        [&](BudgetSlice&) { return metis_coactivation_assignment(instance_, options_.effort.seed); });
    starts.emplace_back("metis co-activation", current_.assignment);
  }
  for (const auto& [name, start] : starts) {
    set_current(start);
    run(name + " descent", 0.1, [&](BudgetSlice& slice) {
      return descend_dispatch(instance_, current_.assignment, *balanced_, goal_, slice, options_.effort.threads);
    });
    keep_better_layers();
  }
  if (options_.diagnostics.without.search) return;
  set_current(*balanced_);
  run("search", 1.0, [&](BudgetSlice& slice) {
    return anneal_dispatch(instance_, *balanced_, goal_, slice, options_.effort.seed, options_.effort.threads);
  });
  keep_better_layers();
}

/// Layers do not touch one another in dispatch, and those of both are within their caps.
void Stages::keep_better_layers() {
  set_current(better_layers(instance_, best_.assignment, current_.assignment));
  best_ = current_;
}

void Stages::refine_from_metis() {
  if (budget_.exhausted() || !instance_.has_traffic()) return;
  try_start("lpt", 0.1, [&] { return *balanced_; });
  if (options_.diagnostics.without.metis) {
    // Only the exact refinement of the descent from LPT is asked for.
  } else if (has_time_for(metis_layered_estimate(instance_), 0.5)) {
    try_start("metis layered", 0.2, [&] { return metis_layered_assignment(instance_, options_.effort.seed); });
  } else if (has_time_for(metis_folded_estimate(instance_), 0.5)) {
    try_start("metis folded", 0.2, [&] { return metis_folded_assignment(instance_, options_.effort.seed); });
  }
  if (!options_.diagnostics.without.glpk) refine_exactly(0.9);
}

void Stages::refine_exactly(double layer_share) {
  current_ = best_;
  // Where peaks have a weight the blocks keep the peak they found.
  const auto caps = goal_.is_cap() ? goal_.threshold_units : largest_loads(instance_, current_.assignment);
  Arrangement arrangement(instance_, current_.assignment);
  const auto sweep = [&](const char* name, double share, auto&& blocks) {
    BlockReport report;
    StageReport& stage = run(name, share, [&](BudgetSlice& slice) {
      report = blocks(slice);
      return arrangement.assignment();
    });
    stage.blocks = report;
    keep_current_if_better();
  };
  sweep("glpk layers", layer_share, [&](BudgetSlice& slice) { return sweep_layers(arrangement, caps, slice); });
  sweep("glpk pairs", 0.97, [&](BudgetSlice& slice) { return sweep_pairs(arrangement, caps, slice); });
}

template <class Make>
void Stages::try_start(const std::string& name, double descent_share, Make&& make) {
  run(name + " start", 1.0, [&](BudgetSlice&) { return make(); });
  run(name + " descent", descent_share, [&](BudgetSlice& slice) {
    Arrangement arrangement(instance_, current_.assignment);
    if (goal_.is_cap() && is_within_caps(current_.assignment)) {
      descend(arrangement, goal_, kHardCap, slice);
    } else {
      descend_to_goal(arrangement, goal_, *balanced_, slice);
    }
    return arrangement.assignment();
  });
  keep_current_if_better();
}

template <class Work>
StageReport& Stages::run(const std::string& name, double share, Work&& work) {
  if (observer_) observer_(name);
  const bool is_first = current_.assignment.empty();
  const double before = current_.value;
  const Seconds start = budget_.elapsed();
  BudgetSlice slice(budget_, share);
  set_current(work(slice));
  const Seconds seconds = budget_.elapsed() - start;
  return reports_.emplace_back(
      StageReport{name, seconds.count(), is_first ? current_.value : before, current_.value, std::nullopt});
}

bool Stages::has_time_for(Seconds estimate, double share) const {
  const double left = budget_.is_wall() ? budget_.remaining().count()
                                        : static_cast<double>(budget_.remaining_units()) / kUnitsPerSecond;
  return estimate.count() < share * left;
}

void Stages::set_current(Assignment assignment) {
  const double objective = value(assignment);
  current_ = {std::move(assignment), objective};
}

void Stages::keep_current_if_better() {
  if (is_within_caps(current_.assignment) && current_.value < best_.value) best_ = current_;
}

bool Stages::is_within_caps(const Assignment& assignment) const {
  if (!goal_.is_cap()) return true;
  if (instance_.has_windows())
    return std::ranges::equal(window_peaks(instance_, assignment), goal_.window_peak_max, std::less_equal<>());
  const auto largest = largest_loads(instance_, assignment);
  return std::ranges::equal(largest, goal_.threshold_units, std::less_equal<>());
}

double Stages::value(const Assignment& assignment) const {
  const auto [peaks, loaded] = peak_sum(instance_, assignment);
  if (options_.problem.objective.weighted) return peaks + communication(instance_, assignment);
  if (instance_.has_traffic() || instance_.is_dispatch()) return communication(instance_, assignment);
  return loaded == 0 ? 0.0 : peaks / static_cast<double>(loaded);
}

}  // namespace evenkeel
