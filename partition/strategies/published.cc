#include "partition/strategies/published.h"

#include <chrono>
#include <optional>
#include <utility>

#include "partition/baseline/eplb.h"
#include "partition/baseline/exflow.h"
#include "partition/baseline/metis_naive.h"
#include "partition/baseline/moetuner.h"
#include "partition/baseline/moetuner_strong.h"
#include "partition/baseline/random.h"
#include "partition/strategies/stage.h"
#include "partition/strategies/workbench.h"
#include "partition/warmstart/lpt.h"

namespace evenkeel {
namespace {

/// A placement that needs no instance.
Result<Draft> as_it_is(Result<Placement> made, Run& run) {
  EVENKEEL_TRY(placement, std::move(made));
  run.begin_budget();
  return Draft{std::move(placement)};
}

Draft draft_of(Instance instance, const Assignment& assignment) {
  Draft draft{to_placement(instance, assignment)};
  draft.instance = std::move(instance);
  return draft;
}

/// An instance, a budget, and what `assign` makes of them; where it makes nothing, its time was too short.
template <class Assign>
Result<Draft> place_by(const Problem& problem, Run& run, Assign&& assign) {
  EVENKEEL_TRY(instance, problem.instance(run.threads()));
  run.begin_budget();
  const std::optional<Assignment> found = assign(instance);
  if (!found) return time_limit("found no placement in its time; give more");
  return draft_of(std::move(instance), *found);
}

/// METIS cannot be interrupted, so it is not begun where its estimate is beyond the time.
bool has_time_for(std::chrono::duration<double> estimate, Run& run) {
  return !run.budget().is_wall() || estimate <= run.budget().remaining();
}

std::optional<Assignment> from_start(const Start& start, const Instance& instance, Run& run) {
  if (!has_time_for(start.estimate(instance), run)) return std::nullopt;
  return start.initialise({instance, {}, {}, {}, run.seed(), run.threads()});
}

}  // namespace

Result<Draft> place_contiguous(const Problem& problem, Run& run) {
  const ModelShape& shape = problem.profile().shape;
  const Cluster& cluster = problem.cluster();
  return as_it_is(
      contiguous_placement(shape.layer_ids, shape.experts, problem.redundant(), cluster.gpus, cluster.nodes), run);
}

Result<Draft> place_random(const Problem& problem, Run& run) {
  return as_it_is(random_placement(problem.profile(), problem.cluster(), problem.redundant(), run.seed()), run);
}

Result<Draft> place_eplb(const Problem& problem, Run& run) {
  return as_it_is(eplb_placement(problem.profile(), problem.cluster(), problem.redundant()), run);
}

Result<Draft> place_eplb_hierarchical(const Problem& problem, Run& run) {
  return as_it_is(
      eplb_hierarchical_placement(problem.profile(), problem.cluster(), problem.redundant(), problem.options().groups),
      run);
}

Result<Draft> place_lpt(const Problem& problem, Run& run) {
  EVENKEEL_TRY(instance, problem.instance(run.threads()));
  run.begin_budget();
  Workbench bench(problem, instance, run, {});
  bench.pack();
  const Assignment packed = bench.best();
  return draft_of(std::move(instance), packed);
}

Result<Draft> place_metis(const Problem& problem, Run& run) {
  return place_by(problem, run, [&](const Instance& instance) {
    return from_start(instance.is_dispatch() ? kMetisCoactivationStart : kMetisLayeredStart, instance, run);
  });
}

Result<Draft> place_metis_naive(const Problem& problem, Run& run) {
  return place_by(problem, run, [&](const Instance& instance) -> std::optional<Assignment> {
    if (!has_time_for(metis_naive_estimate(instance), run)) return std::nullopt;
    return metis_naive_assignment(instance, run.seed());
  });
}

Result<Draft> place_exflow(const Problem& problem, Run& run) {
  return place_by(problem, run, [&](const Instance& instance) { return exflow_assignment(instance, run.budget()); });
}

Result<Draft> place_moetuner(const Problem& problem, Run& run) {
  bool is_finished = false;
  auto draft = place_by(problem, run, [&](const Instance& instance) {
    MoetunerResult result = moetuner_assignment(instance, run.budget());
    is_finished = result.finished;
    return std::move(result.assignment);
  });
  if (draft && !is_finished) draft->status = SolveStatus::kTimeLimit;
  return draft;
}

Result<Draft> place_moetuner_strong(const Problem& problem, Run& run) {
  EVENKEEL_TRY(instance, problem.instance(run.threads()));
  run.begin_budget();
  Workbench bench(problem, instance, run, problem.load_bound_units());
  bench.pack();
  bench.balance();
  const Assignment found = moetuner_strong_assignment(instance, bench.best(), run.budget());
  return draft_of(std::move(instance), found);
}

}  // namespace evenkeel
