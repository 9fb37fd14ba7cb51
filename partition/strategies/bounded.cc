#include "partition/strategies/bounded.h"

#include <algorithm>
#include <span>
#include <utility>

#include "partition/model/migration.h"
#include "partition/problem/certificate.h"
#include "partition/search/balance.h"
#include "partition/slots/relabel_to.h"
#include "partition/slots/replan_loads.h"
#include "partition/slots/replan_traffic.h"
#include "partition/slots/rows.h"
#include "partition/warmstart/lpt.h"

namespace evenkeel {
namespace {

/// Shares of what is left of the time when each begins.
constexpr double kFreeShare = 0.05;
constexpr double kLoadShareBeforeTraffic = 0.3;

class Replanning {
 public:
  Replanning(const Problem& problem, const Instance& instance, Run& run)
      : problem_(problem),
        instance_(instance),
        running_(*problem.running()),
        moves_max_(*problem.moves_max()),
        run_(run) {}

  Result<Draft> solve() {
    const auto bound_units = problem_.load_bound_units();
    const bool has_traffic = instance_.has_traffic() || instance_.is_dispatch();
    run_.begin_stage("replan loads", value(running_));
    ReplannedLoads loads = replan_for_loads(bound_units, has_traffic ? kLoadShareBeforeTraffic : 1.0);
    const Placement balanced = rows_of(loads);
    const double value_of_balanced = run_.end_stage(value(balanced)).value_after;
    Draft draft{balanced};
    if (has_traffic && loads.duplicates == 0 && moves_max_ > 0 && !run_.budget().exhausted()) {
      run_.begin_stage("replan communication", value_of_balanced);
      EVENKEEL_TRY(placement, replan_for_traffic(loads));
      draft.placement = std::move(placement);
      run_.end_stage(value(draft.placement));
    }
    draft.placement = *keep_slots(running_, draft.placement);
    draft.z_star = peak_ratios(problem_.profile(), balanced);
    draft.is_checked = loads.duplicates == 0;
    return draft;
  }

 private:
  ReplannedLoads replan_for_loads(std::span<const std::int64_t> bound_units, double share) {
    Grid<ExpertIndex> hint;
    Budget& budget = run_.budget();
    if (!budget.exhausted()) {
      Assignment free = lpt_assignment(instance_, run_.threads());
      BudgetSlice slice(budget, kFreeShare);
      balance_loads(instance_, bound_units, slice, run_.seed(), run_.threads(), free);
      hint = relabel_to(running_, to_placement(instance_, free), RenameScope::kEachLayer).fields().expert_of_slot;
    }
    const auto layers = replan_layers(problem_.profile(), running_);
    BudgetSlice slice(budget, share);
    return replan_loads(layers, bound_units, hint, moves_max_, slice, run_.seed(), run_.threads());
  }

  [[nodiscard]] Placement rows_of(const ReplannedLoads& loads) const {
    Grid<ExpertIndex> rows(running_.layers(), running_.slots());
    for (std::size_t layer = 0; layer < rows.rows(); ++layer)
      std::ranges::copy(loads.point(layer).expert_of_slot, rows[layer].begin());
    return with_rows(running_, std::move(rows));
  }

  /// Begins with the fewest moves that the slack leaves room for.
  Result<Placement> replan_for_traffic(ReplannedLoads& loads) {
    LoadGoal caps;
    for (std::size_t layer = 0; layer < loads.frontiers.size(); ++layer) {
      const auto cap = problem_.cap_units(loads.point(layer).largest_units);
      caps.threshold_units.push_back(cap);
      const auto points = loads.frontiers[layer].points();
      const auto first = std::ranges::find_if(points, [&](const auto* point) { return point->largest_units <= cap; });
      loads.chosen[layer] = static_cast<std::size_t>(first - points.begin());
    }
    const Placement start = rows_of(loads);
    if (!instance_.has_replicas()) return searched(instance_, start, caps);
    EVENKEEL_TRY(instance, problem_.instance_of(copies_of(start), run_.threads()));
    return searched(instance, start, caps);
  }

  [[nodiscard]] Placement searched(const Instance& instance, const Placement& start, const LoadGoal& caps) {
    return to_placement(instance, replan_traffic(instance, to_assignment(instance, start), running_, caps, moves_max_,
                                                 run_.budget(), run_.seed()));
  }

  [[nodiscard]] double value(const Placement& placement) const {
    return value_of(problem_.profile(), problem_.cluster(), problem_.objective(), placement).value;
  }

  const Problem& problem_;
  const Instance& instance_;
  const Placement& running_;
  std::size_t moves_max_;
  Run& run_;
};

}  // namespace

Result<Draft> place_within_moves(const Problem& problem, Run& run) {
  EVENKEEL_TRY(instance, problem.instance(run.threads()));
  run.begin_budget();
  EVENKEEL_TRY(draft, Replanning(problem, instance, run).solve());
  draft.has_bound = !instance.has_replicas();
  if (draft.has_bound) draft.instance = std::move(instance);
  return std::move(draft);
}

}  // namespace evenkeel
