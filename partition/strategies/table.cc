#include "partition/strategies/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "partition/libraries/glpk_adapter.h"
#include "partition/strategies/published.h"
#include "partition/strategies/staged.h"

namespace evenkeel {
namespace {

constexpr Honours kOurs{.traffic = Traffic::kResidentAndDispatch,
                        .split_search = true,
                        .moves = true,
                        .windows = true,
                        .step = true,
                        .survival = true,
                        .unequal_gpus = true,
                        .time_model = true};
constexpr Honours kMetisGlpk{.traffic = Traffic::kResident, .split_search = true, .survival = true, .needs_glpk = true};
constexpr Honours kLoadsAlone{};
constexpr Honours kResident{.traffic = Traffic::kResident};

constexpr StrategyRow kTable[] = {
    {Strategy::kEvenkeel, "evenkeel", kOurs, place_evenkeel},
    {Strategy::kMetisGlpk, "metis-glpk", kMetisGlpk, place_metis_glpk},
    {Strategy::kContiguous, "contiguous", kLoadsAlone, place_contiguous},
    {Strategy::kRandom, "random", kLoadsAlone, place_random},
    {Strategy::kLpt, "lpt", {.survival = true}, place_lpt},
    {Strategy::kEplb, "eplb", kLoadsAlone, place_eplb},
    {Strategy::kEplbHierarchical, "eplb-hierarchical", kLoadsAlone, place_eplb_hierarchical},
    {Strategy::kMetis, "metis", {.traffic = Traffic::kResidentAndDispatch}, place_metis},
    {Strategy::kMetisNaive, "metis-naive", kResident, place_metis_naive},
    {Strategy::kExflow, "exflow", kResident, place_exflow},
    {Strategy::kMoetuner, "moetuner", {.traffic = Traffic::kResident, .needs_glpk = true}, place_moetuner},
    {Strategy::kMoetunerStrong, "moetuner-strong", kResident, place_moetuner_strong},
};

/// Names of the strategies that honour something, as a choice: "evenkeel, metis-glpk or lpt".
std::string names_of_those_that(bool Honours::*honoured) {
  std::vector<std::string_view> names;
  for (const StrategyRow& row : kTable) {
    if (row.honours.*honoured) names.push_back(row.name);
  }
  const std::string_view last = names.back();
  names.pop_back();
  return names.empty() ? std::string(last) : fmt::format("{} or {}", fmt::join(names, ", "), last);
}

}  // namespace

std::span<const StrategyRow> strategy_table() { return kTable; }

const StrategyRow& row_of(Strategy strategy) { return *std::ranges::find(kTable, strategy, &StrategyRow::strategy); }

std::vector<std::string> take_what_is_not_honoured(const StrategyRow& row, bool has_windows, ProblemOptions& options) {
  std::vector<std::string> notes;
  if (options.replan && options.replan->moves_max && !row.honours.moves) {
    options.replan->moves_max.reset();
    notes.push_back(fmt::format("strategy {} keeps no budget of moves", row.name));
  }
  if (!row.honours.step) options.step.reset();
  if (options.robust && !row.honours.windows) {
    options.robust.reset();
    if (has_windows) notes.push_back(fmt::format("strategy {} adds windows up", row.name));
  }
  return notes;
}

std::vector<std::string> not_searched(const StrategyRow& row, const Problem& problem) {
  std::vector<std::string> notes;
  const bool is_uneven = problem.options().split == ReplicaSplit::kUneven;
  if (is_uneven && !problem.has_paths() && !row.honours.split_search)
    notes.push_back(fmt::format("strategy {} searches no slots for an uneven split", row.name));
  if (!problem.has_paths()) return notes;
  const bool is_dispatch = problem.objective().comm == Comm::kDispatch;
  if (row.honours.traffic == Traffic::kNone) notes.push_back(fmt::format("strategy {} looks at loads alone", row.name));
  if (row.honours.traffic == Traffic::kResident && is_dispatch)
    notes.push_back(fmt::format("strategy {} knows resident communication alone, and places by loads", row.name));
  return notes;
}

Status refuse_what_is_not_honoured(const StrategyRow& row, const Problem& problem) {
  const Honours& honours = row.honours;
  if (honours.needs_glpk && !has_glpk()) {
    return invalid_input(fmt::format(
        "strategy {} needs GLPK, which this build is without; give {}, or build with -DEVENKEEL_WITH_GLPK=ON", row.name,
        row_of(Strategy::kEvenkeel).name));
  }
  if (problem.options().survive > 0 && !honours.survival) {
    return invalid_input(fmt::format("strategy {} does not keep a second copy of every expert; give {}", row.name,
                                     names_of_those_that(&Honours::survival)));
  }
  if (problem.options().time_model && !honours.time_model) {
    return infeasible(fmt::format("strategy {} evens out tokens, not modelled time; give {}", row.name,
                                  names_of_those_that(&Honours::time_model)));
  }
  if (problem.is_unequal() && !honours.unequal_gpus) {
    return infeasible(fmt::format("strategy {} is for GPUs that are alike; give {}", row.name,
                                  names_of_those_that(&Honours::unequal_gpus)));
  }
  return {};
}

}  // namespace evenkeel
