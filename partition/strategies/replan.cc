#include "partition/strategies/replan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "partition/foundation/check.h"
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

bool is_loaded(const Grid<std::uint64_t>& load, std::size_t layer) {
  return std::ranges::any_of(load[layer], [](std::uint64_t tokens) { return tokens > 0; });
}

class Replanning {
 public:
  Replanning(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
             const Instance& instance, Budget& budget, const StageObserver& observer)
      : profile_(profile),
        cluster_(cluster),
        options_(options),
        instance_(instance),
        running_(options.problem.replan->running),
        moves_max_(*options.problem.replan->moves_max),
        budget_(budget),
        observer_(observer) {}

  Result<Replanned> solve(std::span<const std::int64_t> bound_units) {
    const bool has_traffic = instance_.has_traffic() || instance_.is_dispatch();
    begin("replan loads", value(running_));
    ReplannedLoads loads = replan_for_loads(bound_units, has_traffic ? kLoadShareBeforeTraffic : 1.0);
    Replanned result{rows_of(loads), rows_of(loads), loads.duplicates};
    end(result.placement);
    if (has_traffic && loads.duplicates == 0 && moves_max_ > 0 && !budget_.exhausted()) {
      begin("replan communication", stages_.back().value_after);
      EVENKEEL_TRY(placement, replan_for_traffic(loads));
      result.placement = std::move(placement);
      end(result.placement);
    }
    result.placement = *keep_slots(running_, result.placement);
    result.stages = std::move(stages_);
    return result;
  }

 private:
  ReplannedLoads replan_for_loads(std::span<const std::int64_t> bound_units, double share) {
    Grid<ExpertIndex> hint;
    if (!budget_.exhausted()) {
      Assignment free = lpt_assignment(instance_, options_.effort.threads);
      BudgetSlice slice(budget_, kFreeShare);
      balance_loads(instance_, bound_units, slice, options_.effort.seed, options_.effort.threads, free);
      hint = relabel_to(running_, to_placement(instance_, free), RenameScope::kEachLayer).fields().expert_of_slot;
    }
    const auto layers = replan_layers(profile_, running_);
    BudgetSlice slice(budget_, share);
    return replan_loads(layers, bound_units, hint, moves_max_, slice, options_.effort.seed, options_.effort.threads);
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
      const auto best = static_cast<long double>(loads.point(layer).largest_units);
      const auto cap = static_cast<std::int64_t>(
          std::floor(best * (1.0L + static_cast<long double>(options_.problem.load_slack_ratio))));
      caps.threshold_units.push_back(cap);
      const auto points = loads.frontiers[layer].points();
      const auto first = std::ranges::find_if(points, [&](const auto* point) { return point->largest_units <= cap; });
      loads.chosen[layer] = static_cast<std::size_t>(first - points.begin());
    }
    const Placement start = rows_of(loads);
    if (!instance_.has_replicas()) return searched(instance_, start, caps);
    EVENKEEL_TRY(instance, make_instance(profile_, cluster_, copies_of(start), options_.problem.objective,
                                         options_.effort.threads));
    return searched(instance, start, caps);
  }

  [[nodiscard]] Placement searched(const Instance& instance, const Placement& start, const LoadGoal& caps) {
    return to_placement(instance, replan_traffic(instance, to_assignment(instance, start), running_, caps, moves_max_,
                                                 budget_, options_.effort.seed));
  }

  [[nodiscard]] double value(const Placement& placement) const {
    return value_of(profile_, cluster_, options_.problem.objective, placement).value;
  }

  void begin(const char* name, double value_before) {
    if (observer_) observer_(name);
    stages_.push_back({name, 0, value_before, 0, std::nullopt});
    begun_ = budget_.elapsed();
  }
  void end(const Placement& after) {
    stages_.back().seconds = (budget_.elapsed() - begun_).count();
    stages_.back().value_after = value(after);
  }

  const RoutingProfile& profile_;
  const Cluster& cluster_;
  const PlaceOptions& options_;
  const Instance& instance_;
  const Placement& running_;
  std::size_t moves_max_;
  Budget& budget_;
  const StageObserver& observer_;
  std::vector<StageReport> stages_;
  std::chrono::duration<double> begun_{0};
};

bool has_duplicates(const Placement& placement, LayerId layer) {
  for (std::size_t gpu = 0; gpu < placement.gpus(); ++gpu) {
    const auto hosted = placement.hosted(layer, GpuId(gpu));
    std::vector<ExpertIndex> experts(hosted.begin(), hosted.end());
    std::ranges::sort(experts);
    if (std::ranges::adjacent_find(experts) != experts.end()) return true;
  }
  return false;
}

}  // namespace

Result<Replanned> replan(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                         const Instance& instance, std::span<const std::int64_t> bound_units, Budget& budget,
                         const StageObserver& observer) {
  return Replanning(profile, cluster, options, instance, budget, observer).solve(bound_units);
}

Placement with_few_moves(const Placement& running, const Placement& placement, const RoutingProfile& profile,
                         const Objective& objective) {
  const RenameScope scope = profile.paths.empty()               ? RenameScope::kEachLayer
                            : objective.comm == Comm::kDispatch ? RenameScope::kEachLayerInNodes
                                                                : RenameScope::kAllLayersInNodes;
  Placement::Fields fields = relabel_to(running, placement, scope).fields();
  const Grid<std::uint64_t> load = profile.total_load();
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    if (is_loaded(load, layer) || has_duplicates(running, LayerId(layer))) continue;
    std::ranges::copy(running.row(LayerId(layer)), fields.expert_of_slot[layer].begin());
  }
  return with_rows(placement, std::move(fields.expert_of_slot));
}

Result<std::size_t> count_moves(const Placement& from, const Placement& to) {
  EVENKEEL_TRY(moves, migration(from, to));
  return static_cast<std::size_t>(std::llround(moves.churn * static_cast<double>(to.layers() * to.slots())));
}

Status check_running(const Placement& running, const RoutingProfile& profile, const Cluster& cluster,
                     std::size_t redundant) {
  if (!std::ranges::equal(running.layer_ids(), profile.shape.layer_ids) || running.experts() != profile.shape.experts) {
    return invalid_input(
        fmt::format("the running placement has {} layers of {} experts but the traffic {} of {}; give a placement of "
                    "this model's layers",
                    running.layers(), running.experts(), profile.shape.layers(), profile.shape.experts));
  }
  if (running.gpus() != cluster.gpus || running.nodes() != cluster.nodes) {
    return invalid_input(
        fmt::format("the running placement is for {} GPUs on {} nodes but the cluster has {} on {}; give the cluster "
                    "it runs on",
                    running.gpus(), running.nodes(), cluster.gpus, cluster.nodes));
  }
  if (!cluster.slots.empty()) return {};
  if (!running.has_equal_slots()) {
    return invalid_input("the running placement has more slots on some GPUs than on others; give one with equal slots");
  }
  if (running.redundant() != redundant) {
    return invalid_input(fmt::format("the running placement has {} redundant slots but {} are asked for; give {}",
                                     running.redundant(), redundant, running.redundant()));
  }
  return {};
}

std::size_t loaded_slots(const RoutingProfile& profile, std::size_t slots) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::size_t loaded = 0;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) loaded += is_loaded(load, layer) ? slots : 0;
  return loaded;
}

}  // namespace evenkeel
