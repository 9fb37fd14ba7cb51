#include "partition/strategies/copies.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "partition/search/balance.h"
#include "partition/slots/replica_search.h"
#include "partition/slots/rows.h"
#include "partition/slots/spread_nodes.h"
#include "partition/warmstart/lpt.h"

namespace evenkeel {
namespace {

/// Layers that the greedy copies balance so well are left to them: with many experts they all are.
constexpr double kGapLeft = 1e-3;

ReplicaSearch search_of(const Problem& problem, const Run& run) {
  return {.copies_min = problem.copies_min(), .nodes = 1, .seed = run.seed(), .threads = run.threads()};
}

}  // namespace

Result<std::optional<Assignment>> search_copies(const Problem& problem, Run& run,
                                                std::span<const std::int64_t> bound_units, Instance& instance) {
  if (!instance.has_replicas() || run.budget().exhausted()) return std::optional<Assignment>();
  const bool has_communication = instance.has_traffic() || instance.is_dispatch();
  Assignment assignment = lpt_assignment(instance, run.threads());
  BudgetSlice balancing(run.budget(), 0.03);
  balance_loads(instance, bound_units, balancing, run.seed(), run.threads(), assignment);
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
  const auto layers = replan_layers(problem.profile(), start);
  BudgetSlice slice(run.budget(), has_communication ? 0.05 : 0.4);
  const Placement found = with_rows(start, balance_replicas(layers, targets, search_of(problem, run), slice));
  if (found == start) return std::optional<Assignment>();
  EVENKEEL_TRY(made, problem.instance_of(copies_of(found), run.threads()));
  instance = std::move(made);
  return std::optional(to_assignment(instance, found));
}

Placement searched_for_split(const Problem& problem, Run& run, Placement placement) {
  const ProblemOptions& options = problem.options();
  const bool is_uneven = options.split == ReplicaSplit::kUneven && placement.redundant() > 0;
  if (!is_uneven || problem.has_paths() || problem.running() || run.budget().exhausted()) return placement;
  BudgetSlice slice(run.budget(), options.survive > 0 ? 0.3 : 1.0);
  const auto layers = replan_layers(problem.profile(), placement);
  return with_rows(placement, balance_uneven(layers, problem.profile().total_load(), search_of(problem, run), slice));
}

Placement spread_copies(const Problem& problem, Run& run, const Placement& placement) {
  const Placement start =
      with_rows(placement, spread_over_nodes(replan_layers(problem.profile(), placement), placement.nodes()));
  if (problem.has_paths() || run.budget().exhausted()) return start;
  const auto layers = replan_layers(problem.profile(), start);
  std::vector<std::int64_t> means;
  for (const ReplanLayer& layer : layers) means.push_back(static_cast<std::int64_t>(layer.mean_units()));
  ReplicaSearch search = search_of(problem, run);
  search.nodes = placement.nodes();
  BudgetSlice slice(run.budget(), 1.0);
  return with_rows(start, balance_replicas(layers, means, search, slice));
}

}  // namespace evenkeel
