#include "partition/strategies/finish.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "partition/cost/spectral_bound.h"
#include "partition/cost/verify.h"
#include "partition/foundation/check.h"
#include "partition/slots/split.h"
#include "partition/strategies/copies.h"
#include "partition/strategies/few_moves.h"

namespace evenkeel {
namespace {

/// Gives a layer's slots these experts, and each copy an even share where there are shares.
void set_row(std::span<const ExpertIndex> experts, std::size_t layer, Placement::Fields& fields) {
  std::ranges::copy(experts, fields.expert_of_slot[layer].begin());
  if (!fields.shares) return;
  for (std::size_t slot = 0; slot < experts.size(); ++slot)
    (*fields.shares)(layer, slot) = 1.0 / static_cast<double>(std::ranges::count(experts, experts[slot]));
}

/// Whether a GPU has an expert twice in the layer, as maps of EPLB do.
bool is_doubled(const Placement& placement, LayerId layer) {
  for (std::size_t gpu = 0; gpu < placement.gpus(); ++gpu) {
    const auto hosted = placement.hosted(layer, GpuId(gpu));
    for (auto slot = hosted.begin(); slot != hosted.end(); ++slot) {
      if (std::find(hosted.begin(), slot, *slot) != slot) return true;
    }
  }
  return false;
}

/// A layer without load says nothing of where its experts should be: they stay where they run, or else are in order, as
/// engines start. Not where copies must be on two GPUs, slots are lost, or the running row is to be repaired: then the
/// strategy's own row holds.
Placement with_unloaded_in_order(const Problem& problem, Placement placement) {
  const Placement* const running = problem.running();
  const bool is_other_slots = running && running->fields().slots_of_gpu != placement.fields().slots_of_gpu;
  if (problem.options().survive > 0 || is_other_slots) return placement;
  const Grid<std::uint64_t> load = problem.profile().total_load();
  std::vector<ExpertIndex> in_order(placement.slots());
  for (std::size_t slot = 0; slot < in_order.size(); ++slot)
    in_order[slot] = static_cast<ExpertIndex>(slot % placement.experts());
  std::optional<Placement::Fields> changed;
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    if (std::ranges::any_of(load[layer], [](auto tokens) { return tokens > 0; })) continue;
    if (running && is_doubled(*running, LayerId(layer))) continue;
    if (!changed) changed = placement.fields();
    set_row(running ? running->row(LayerId(layer)) : std::span<const ExpertIndex>(in_order), layer, *changed);
  }
  if (!changed) return placement;
  auto made = Placement::create(*std::move(changed));
  EVENKEEL_CHECK(made, "rows in order, and those that run, hold every expert");
  return *std::move(made);
}

Placement finished(const Problem& problem, Run& run, Draft& draft) {
  Placement placement = std::move(draft.placement);
  if (draft.may_be_renamed && problem.running())
    placement = with_few_moves(*problem.running(), placement, problem.profile(), problem.objective());
  placement = with_unloaded_in_order(problem, std::move(placement));
  if (problem.options().survive > 0 && !problem.is_unequal() && placement.nodes() > 1)
    placement = spread_copies(problem, run, placement);
  const bool is_uneven = problem.options().split == ReplicaSplit::kUneven && placement.redundant() > 0;
  if (is_uneven) placement = with_uneven_shares(placement, problem.profile(), run.threads());
  return placement;
}

/// Value, load bounds and the best largest loads found.
Certificate measured(const Problem& problem, const Draft& draft, const Placement& placement) {
  if (draft.certificate) return *draft.certificate;
  Certificate certificate = value_of(problem.profile(), problem.cluster(), problem.objective(), placement);
  for (std::size_t layer = 0; layer < draft.z_star.size(); ++layer) {
    double& best = certificate.z_star[layer];
    // Robust peaks are another measure than those of all traffic.
    best = problem.weighs_windows() ? draft.z_star[layer] : std::min(best, draft.z_star[layer]);
  }
  return certificate;
}

/// A bound on resident communication, where there is time for one. It is of an even split.
Result<std::optional<double>> bound_on_communication(const Problem& problem, const Run& run, const Draft& draft,
                                                     const Placement& placement) {
  if (!run.wants_bound() || !draft.has_bound || placement.fields().shares) return std::optional<double>();
  std::optional<Instance> made;
  if (!draft.instance) {
    EVENKEEL_TRY(instance, problem.instance(run.threads()));
    made = std::move(instance);
  }
  const Instance& instance = made ? *made : *draft.instance;
  if (!instance.has_traffic()) return std::optional<double>();
  constexpr double kSecondsUnderWork = 1.0;
  const Effort& effort = run.effort();
  const auto iterations =
      bound_iterations(instance, effort.work_units ? kSecondsUnderWork : 0.2 + 0.05 * effort.time.count());
  if (!iterations) return std::optional<double>();
  return std::optional(communication_bound(instance, *iterations));
}

/// Its time comes on top of the solver's, so a bound that takes long is left out of a short run.
Result<Certificate> certified(const Problem& problem, Run& run, const Draft& draft, const Placement& placement) {
  Certificate certificate = measured(problem, draft, placement);
  run.begin_stage("certificate", certificate.value);
  EVENKEEL_TRY(bound, bound_on_communication(problem, run, draft, placement));
  bound ? static_cast<void>(run.end_stage(certificate.value)) : run.drop_stage();
  if (draft.status == SolveStatus::kOptimal) {
    set_bound(certificate.value, certificate);
  } else {
    set_bound(problem.objective(), problem.has_paths(), bound, certificate);
  }
  return certificate;
}

Status verified(const Problem& problem, const Draft& draft, const Solution& solution) {
  const ProblemOptions& options = problem.options();
  if (draft.is_checked) {
    const bool has_caps = problem.has_caps() && !problem.weighs_windows();
    const std::span<const double> z_star(solution.certificate.z_star);
    EVENKEEL_TRY_STATUS(verify(solution.placement, problem.profile(), problem.cluster(), problem.redundant(),
                               has_caps ? z_star : std::span<const double>(), problem.slack_ratio(),
                               options.time_model));
    if (problem.weighs_windows()) {
      EVENKEEL_TRY_STATUS(
          verify_windows(solution.placement, problem.profile(), *options.robust, z_star, problem.slack_ratio()));
    }
  }
  if (options.survive > 0) EVENKEEL_TRY_STATUS(verify_survival(solution.placement));
  return {};
}

/// What moves from the running placement, held to the budget.
Result<ReplanReport> moved(const Problem& problem, const Draft& draft, const Placement& placement) {
  const Placement& running = *problem.running();
  ReplanReport report;
  EVENKEEL_TRY(moves, count_moves(running, placement));
  report.moves = moves;
  report.moves_forced = draft.moves_forced;
  if (const auto moves_max = problem.moves_max()) report.moves_max = draft.moves_forced + *moves_max;
  if (report.moves_max && moves > *report.moves_max)
    return failure(fmt::format("verifier: {} slots move; the budget is {}", moves, *report.moves_max));
  report.imbalance_before = mean_of_loaded(peak_ratios(problem.profile(), running, problem.cluster()));
  report.imbalance_after = mean_of_loaded(peak_ratios(problem.profile(), placement, problem.cluster()));
  return report;
}

}  // namespace

Result<Solution> finish(const Problem& problem, Run& run, Draft draft) {
  Solution solution{finished(problem, run, draft)};
  solution.solve_seconds = run.seconds();
  EVENKEEL_TRY(certificate, certified(problem, run, draft, solution.placement));
  solution.certificate = std::move(certificate);
  solution.stages = run.take_stages();
  EVENKEEL_TRY_STATUS(verified(problem, draft, solution));
  const bool meets_its_bound =
      draft.is_checked && !problem.is_bounded() && solution.certificate.gap && *solution.certificate.gap < 1e-12;
  solution.status = meets_its_bound ? SolveStatus::kOptimal : draft.status;
  if (problem.running()) {
    EVENKEEL_TRY(report, moved(problem, draft, solution.placement));
    solution.replan = report;
  }
  return solution;
}

}  // namespace evenkeel
