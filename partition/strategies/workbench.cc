#include "partition/strategies/workbench.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "partition/exact/exact_dp.h"
#include "partition/search/balance.h"
#include "partition/search/dispatch_search.h"
#include "partition/search/step_search.h"
#include "partition/search/window_balance.h"
#include "partition/search/window_loads.h"
#include "partition/warmstart/lpt.h"

namespace evenkeel {
namespace {

/// Swap proposals that take a second on two cores of 2024, to weigh estimates in seconds against a work budget.
constexpr double kUnitsPerSecond = 30e6;

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

Workbench::Workbench(const Problem& problem, const Instance& instance, Run& run, std::vector<std::int64_t> bound_units)
    : problem_(problem),
      instance_(instance),
      run_(run),
      bound_units_(std::move(bound_units)),
      goal_{{}, problem.objective().weighted ? 1.0 : 0.0} {}

void Workbench::pack() {
  record("lpt", 1.0, [&](BudgetSlice&) { return lpt_assignment(instance_, run_.threads()); });
  best_ = current_;
}

void Workbench::adopt(Assignment assignment) {
  set_current(std::move(assignment));
  best_ = current_;
}

bool Workbench::solve_exactly() {
  if (run_.budget().exhausted() || !exact_dp_fits(instance_)) return false;
  record("exact", 1.0, [&](BudgetSlice&) {
    const auto largest = exact_largest_loads(instance_);
    balanced_ = exact_dp(instance_, {largest, 0.0});
    set_goal(largest);
    const std::vector<std::int64_t> none(instance_.layers(), std::numeric_limits<std::int64_t>::max());
    return *exact_dp(instance_, {goal_.is_cap() ? goal_.threshold_units : none, goal_.peak_weight});
  });
  best_ = current_;
  return true;
}

void Workbench::balance() {
  constexpr double kShareBeforeCommunication = 0.05;
  // Searches for an uneven split and for second nodes come after.
  const ProblemOptions& options = problem_.options();
  const bool is_last = options.split == ReplicaSplit::kEven && options.survive == 0;
  const double share_of_loads_alone = is_last ? 1.0 : 0.3;
  const bool has_communication = instance_.has_traffic() || instance_.is_dispatch();
  record("balance", has_communication ? kShareBeforeCommunication : share_of_loads_alone, [&](BudgetSlice& slice) {
    Assignment assignment = current_.assignment;
    if (instance_.has_windows()) {
      balance_windows(instance_, slice, run_.seed(), run_.threads(), assignment);
      return assignment;
    }
    balance_loads(instance_, bound_units_, slice, run_.seed(), run_.threads(), assignment);
    return assignment;
  });
  best_ = current_;
  balanced_ = current_.assignment;
  if (!instance_.has_windows()) return set_goal(largest_loads(instance_, best_.assignment));
  goal_.window_peak_max = window_peaks(instance_, best_.assignment);
  for (double& peak : goal_.window_peak_max) peak = problem_.cap_peak(peak);
}

void Workbench::set_goal(const std::vector<std::int64_t>& best_units) {
  goal_.threshold_units = goal_.is_cap() ? best_units : bound_units_;
  if (!goal_.is_cap()) return;
  for (std::int64_t& units : goal_.threshold_units) units = problem_.cap_units(units);
}

StageInput Workbench::input() const {
  return {instance_, goal_, *balanced_, block_cap_units_, run_.seed(), run_.threads(), step_ ? &*step_ : nullptr};
}

void Workbench::weigh_step(StepGoal step) {
  step_ = std::move(step);
  current_.value = value_of(current_.assignment);
}

void Workbench::begin(const Start& start) {
  record(std::string(start.name) + " start", 1.0, [&](BudgetSlice&) { return start.initialise(input()); });
}

void Workbench::refine(const Refiner& refiner, double share, std::string_view name) {
  std::optional<BlockReport> blocks;
  StageReport& stage = record(std::string(name.empty() ? refiner.name : name), share, [&](BudgetSlice& slice) {
    Refined refined = refiner.refine(input(), current_.assignment, slice);
    blocks = refined.blocks;
    return std::move(refined.assignment);
  });
  stage.blocks = blocks;
}

void Workbench::try_start(const Start& start, double descent_share) {
  begin(start);
  refine(kDescent, descent_share, std::string(start.name) + " descent");
  keep_if_better();
}

void Workbench::solve_blocks(double layer_share) {
  constexpr double kPairShare = 0.97;
  take_best();
  // Where peaks have a weight the blocks keep the peak they found.
  block_cap_units_ = goal_.is_cap() ? goal_.threshold_units : largest_loads(instance_, current_.assignment);
  refine(kGlpkLayers, layer_share);
  keep_if_better();
  refine(kGlpkPairs, kPairShare);
  keep_if_better();
}

void Workbench::keep_if_better() {
  if (current_.value < best_.value && is_within_caps(instance_, goal_, current_.assignment)) best_ = current_;
}

void Workbench::keep_better_layers() {
  set_current(step_ ? faster_layers(instance_, *step_, best_.assignment, current_.assignment)
                    : better_layers(instance_, best_.assignment, current_.assignment));
  best_ = current_;
}

template <class Work>
StageReport& Workbench::record(std::string name, double share, Work&& work) {
  const bool is_first = current_.assignment.empty();
  run_.begin_stage(std::move(name), current_.value);
  BudgetSlice slice(run_.budget(), share);
  set_current(work(slice));
  StageReport& stage = run_.end_stage(current_.value);
  if (is_first) stage.value_before = stage.value_after;
  return stage;
}

bool Workbench::has_time_for(std::chrono::duration<double> estimate, double share) const {
  const Budget& budget = run_.budget();
  const double left =
      budget.is_wall() ? budget.remaining().count() : static_cast<double>(budget.remaining_units()) / kUnitsPerSecond;
  return estimate.count() < share * left;
}

void Workbench::set_current(Assignment assignment) {
  const double objective = value_of(assignment);
  current_ = {std::move(assignment), objective};
}

double Workbench::value_of(const Assignment& assignment) const {
  if (step_) return step_seconds(instance_, *step_, assignment);
  const auto [peaks, loaded] = peak_sum(instance_, assignment);
  if (problem_.objective().weighted) return peaks + communication(instance_, assignment);
  if (instance_.has_traffic() || instance_.is_dispatch()) return communication(instance_, assignment);
  return loaded == 0 ? 0.0 : peaks / static_cast<double>(loaded);
}

}  // namespace evenkeel
