#include "partition/strategies/stage.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "partition/exact/exact_sweep.h"
#include "partition/model/arrangement.h"
#include "partition/search/anneal.h"
#include "partition/search/balance.h"
#include "partition/search/descent.h"
#include "partition/search/dispatch_search.h"
#include "partition/search/layer_descent.h"
#include "partition/search/relabel.h"
#include "partition/search/shake.h"
#include "partition/search/step_search.h"
#include "partition/search/window_balance.h"
#include "partition/search/window_loads.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_coactivation.h"
#include "partition/warmstart/metis_folded.h"
#include "partition/warmstart/metis_layered.h"
#include "partition/warmstart/transport.h"

namespace evenkeel {
namespace {

using Seconds = std::chrono::duration<double>;

bool any(const Instance&) { return true; }
bool resident(const Instance& instance) { return instance.has_traffic(); }
bool dispatch(const Instance& instance) { return instance.is_dispatch(); }
bool windows(const Instance& instance) { return instance.has_traffic() && instance.has_windows(); }
/// Annealing over nodes knows no copies.
bool resident_nodes(const Instance& instance) {
  return instance.has_traffic() && instance.nodes > 1 && instance.gpus_per_node() > 1 && !instance.has_replicas();
}
bool small(const Instance& instance) {
  return instance.has_traffic() && instance.layers() * instance.items() <= kShakenItemsMax;
}
/// A stage that uses what it is given and no more.
Seconds no_time(const Instance&) { return Seconds(0); }

AnnealOptions anneal_options(const StageInput& input, Level level) { return {level, input.seed, input.threads}; }

Refined descend_from(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  Arrangement arrangement(input.instance, start);
  if (input.goal.is_cap() && is_within_caps(input.instance, input.goal, start)) {
    descend(arrangement, input.goal, kHardCap, slice);
  } else {
    descend_to_goal(arrangement, input.goal, input.balanced, slice);
  }
  return {arrangement.assignment()};
}

Refined search_nodes(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  const Instance& instance = input.instance;
  Assignment nodes = start;
  for (GpuIndex& part : nodes.cells()) part = static_cast<GpuIndex>(instance.node_of(part));
  const auto found = anneal(instance, std::move(nodes), input.goal, slice, anneal_options(input, Level::kNodes));
  return {lpt_within_nodes(instance, found)};
}

Refined search(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  return {anneal(input.instance, start, input.goal, slice, anneal_options(input, Level::kGpus))};
}

Refined end_search(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  Arrangement arrangement(input.instance, start);
  descend(arrangement, input.goal, kHardCap, slice);
  if (restore_caps(arrangement, input.goal, input.balanced)) descend(arrangement, input.goal, kHardCap, slice);
  return {arrangement.assignment()};
}

Refined rename(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  Arrangement arrangement(input.instance, start);
  relabel(arrangement, slice);
  return {arrangement.assignment()};
}

Refined solve_layers(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  Arrangement arrangement(input.instance, start);
  const BlockReport report = sweep_layers(arrangement, input.block_cap_units, slice);
  return {arrangement.assignment(), report};
}

Refined solve_pairs(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  Arrangement arrangement(input.instance, start);
  const BlockReport report = sweep_pairs(arrangement, input.block_cap_units, slice);
  return {arrangement.assignment(), report};
}

Refined descend_with_windows(const StageInput& input, const Assignment& start, BudgetSlice& slice) {
  Arrangement arrangement(input.instance, start);
  descend_windows(arrangement, input.goal.window_peak_max, input.balanced, slice);
  return {arrangement.assignment()};
}

}  // namespace

const Start kBalancedStart{"lpt", any, no_time, [](const StageInput& input) { return input.balanced; }};
const Start kPackedStart{"packed", any, no_time,
                         [](const StageInput& input) { return lpt_assignment(input.instance, input.threads); }};
const Start kTransportStart{"transport", resident, transport_estimate, [](const StageInput& input) {
                              return transport_assignment(input.instance, input.balanced);
                            }};
const Start kMetisFoldedStart{"metis folded", resident, metis_folded_estimate, [](const StageInput& input) {
                                return metis_folded_assignment(input.instance, input.seed);
                              }};
const Start kMetisLayeredStart{"metis layered", resident, metis_layered_estimate, [](const StageInput& input) {
                                 return metis_layered_assignment(input.instance, input.seed);
                               }};
const Start kMetisCoactivationStart{
    "metis co-activation", dispatch, metis_coactivation_estimate,
    [](const StageInput& input) { return metis_coactivation_assignment(input.instance, input.seed); }};

const Refiner kDescent{"descent", resident, descent_estimate, descend_from};
const Refiner kNodeSearch{"search nodes", resident_nodes, no_time, search_nodes};
const Refiner kSearch{"search", resident, no_time, search};
const Refiner kSearchDescent{"search descent", resident, no_time, end_search};
const Refiner kShake{"shake", small, no_time, [](const StageInput& input, const Assignment& start, BudgetSlice& slice) {
                       return Refined{shake(input.instance, start, input.goal, slice, input.seed)};
                     }};
const Refiner kRelabel{"relabel", resident, no_time, rename};
const Refiner kGlpkLayers{"glpk layers", resident, sweep_estimate, solve_layers};
const Refiner kGlpkPairs{"glpk pairs", resident, no_time, solve_pairs};
const Refiner kWindowDescent{"search descent", windows, no_time, descend_with_windows};
const Refiner kDispatchDescent{
    "descent", dispatch, no_time, [](const StageInput& input, const Assignment& start, BudgetSlice& slice) {
      return Refined{descend_dispatch(input.instance, start, input.balanced, input.goal, slice, input.threads)};
    }};
const Refiner kDispatchSearch{
    "search", dispatch, no_time, [](const StageInput& input, const Assignment& start, BudgetSlice& slice) {
      return Refined{anneal_dispatch(input.instance, start, input.goal, slice, input.seed, input.threads)};
    }};

const Refiner kStepSearch{
    "search", dispatch, no_time, [](const StageInput& input, const Assignment& start, BudgetSlice& slice) {
      return Refined{anneal_step(input.instance, *input.step, start, slice, input.seed, input.threads)};
    }};

bool is_within_caps(const Instance& instance, const LoadGoal& goal, const Assignment& assignment) {
  if (!goal.is_cap()) return true;
  if (instance.has_windows())
    return std::ranges::equal(window_peaks(instance, assignment), goal.window_peak_max, std::less_equal<>());
  return std::ranges::equal(largest_loads(instance, assignment), goal.threshold_units, std::less_equal<>());
}

}  // namespace evenkeel
