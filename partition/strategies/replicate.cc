#include "partition/strategies/replicate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "partition/search/balance.h"
#include "partition/slots/replica_search.h"
#include "partition/slots/rows.h"
#include "partition/slots/split.h"
#include "partition/slots/spread_nodes.h"
#include "partition/warmstart/lpt.h"

namespace evenkeel {
namespace {

/// Layers that the greedy copies balance so well are left to them: with many experts they all are.
constexpr double kGapLeft = 1e-3;

ReplicaSearch search_of(const PlaceOptions& options) {
  return {.copies_min = options.problem.survive + 1,
          .nodes = 1,
          .seed = options.effort.seed,
          .threads = options.effort.threads};
}

/// Second copies on second nodes; with loads alone what that unbalances is balanced anew.
Placement spread(const RoutingProfile& profile, const PlaceOptions& options, Budget& budget,
                 const Placement& placement) {
  const Placement start = with_rows(placement, spread_over_nodes(replan_layers(profile, placement), placement.nodes()));
  if (!profile.paths.empty() || budget.exhausted()) return start;
  const auto layers = replan_layers(profile, start);
  std::vector<std::int64_t> means;
  for (const ReplanLayer& layer : layers) means.push_back(static_cast<std::int64_t>(layer.mean_units()));
  ReplicaSearch search = search_of(options);
  search.nodes = placement.nodes();
  BudgetSlice slice(budget, 1.0);
  return with_rows(start, balance_replicas(layers, means, search, slice));
}

}  // namespace

Status check_survival(const PlaceOptions& options, std::size_t experts, const Cluster& cluster) {
  if (options.problem.survive == 0) return {};
  if (options.problem.survive > 1)
    return invalid_input(fmt::format("survive is {}; give 0 or 1", options.problem.survive));
  if (options.strategy != Strategy::kEvenkeel && options.strategy != Strategy::kMetisGlpk &&
      options.strategy != Strategy::kLpt) {
    return invalid_input(fmt::format("strategy {} does not keep a second copy of every expert; give {}, {} or {}",
                                     strategy_name(options.strategy), strategy_name(Strategy::kEvenkeel),
                                     strategy_name(Strategy::kMetisGlpk), strategy_name(Strategy::kLpt)));
  }
  if (options.problem.replan && options.problem.replan->moves_max)
    return invalid_input("a budget of moves may not pay for a second copy of every expert; leave one of the two out");
  if (cluster.gpus == 1) return infeasible("1 GPU cannot be lost; give at least 2 GPUs");
  if (options.problem.redundant >= experts) return {};
  const std::size_t smallest = (2 * experts + cluster.gpus - 1) / cluster.gpus * cluster.gpus - experts;
  return infeasible(fmt::format("{} redundant slots are too few for a second copy of each of {} experts; {} would do",
                                options.problem.redundant, experts, smallest));
}

Result<std::optional<Assignment>> search_copies(const RoutingProfile& profile, const Cluster& cluster,
                                                const PlaceOptions& options, std::span<const std::int64_t> bound_units,
                                                Budget& budget, Instance& instance) {
  if (!instance.has_replicas() || budget.exhausted()) return std::optional<Assignment>();
  const bool has_communication = instance.has_traffic() || instance.is_dispatch();
  Assignment assignment = lpt_assignment(instance, options.effort.threads);
  BudgetSlice balancing(budget, 0.03);
  balance_loads(instance, bound_units, balancing, options.effort.seed, options.effort.threads, assignment);
  const auto largest = largest_loads(instance, assignment);
  std::vector<std::int64_t> targets = largest;
  bool has_gap = false;
  for (std::size_t layer = 0; layer < targets.size(); ++layer) {
    if (static_cast<double>(largest[layer]) <= static_cast<double>(bound_units[layer]) * (1 + kGapLeft)) continue;
    targets[layer] = bound_units[layer];
    has_gap = true;
  }
  if (!has_gap) return std::optional<Assignment>();
  const Placement start = to_placement(instance, assignment);
  const auto layers = replan_layers(profile, start);
  BudgetSlice slice(budget, has_communication ? 0.05 : 0.4);
  const Placement found = with_rows(start, balance_replicas(layers, targets, search_of(options), slice));
  if (found == start) return std::optional<Assignment>();
  EVENKEEL_TRY(made,
               make_instance(profile, cluster, copies_of(found), options.problem.objective, options.effort.threads));
  instance = std::move(made);
  return std::optional(to_assignment(instance, found));
}

Placement with_split(const RoutingProfile& profile, const PlaceOptions& options, Budget& budget, Placement placement) {
  const bool is_uneven = options.problem.split == ReplicaSplit::kUneven && placement.redundant() > 0;
  const bool is_searched = options.strategy == Strategy::kEvenkeel || options.strategy == Strategy::kMetisGlpk;
  if (is_uneven && is_searched && profile.paths.empty() && !options.problem.replan && !budget.exhausted()) {
    BudgetSlice slice(budget, options.problem.survive > 0 ? 0.3 : 1.0);
    const auto layers = replan_layers(profile, placement);
    placement = with_rows(placement, balance_uneven(layers, profile.total_load(), search_of(options), slice));
  }
  if (options.problem.survive > 0 && placement.nodes() > 1) placement = spread(profile, options, budget, placement);
  if (is_uneven) placement = with_uneven_shares(placement, profile, options.effort.threads);
  return placement;
}

}  // namespace evenkeel
