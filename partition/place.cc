#include "partition/place.h"

#include <fmt/format.h>

#include <utility>

#include "partition/problem/problem.h"
#include "partition/strategies/finish.h"
#include "partition/strategies/table.h"

namespace evenkeel {

std::string_view strategy_name(Strategy strategy) { return row_of(strategy).name; }

const std::vector<Strategy>& all_strategies() {
  static const std::vector<Strategy> all = [] {
    std::vector<Strategy> strategies;
    for (const StrategyRow& row : strategy_table()) strategies.push_back(row.strategy);
    return strategies;
  }();
  return all;
}

bool keeps_budget_of_moves(Strategy strategy) { return row_of(strategy).honours.moves; }

bool weighs_windows(const PlaceOptions& options) {
  const bool is_bounded = options.problem.replan && options.problem.replan->moves_max;
  return row_of(options.strategy).honours.windows && weighs_windows(options.problem, is_bounded);
}

Result<Solution> place(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                       const StageObserver& observer) {
  EVENKEEL_TRY_STATUS(validate(options.effort));
  const StrategyRow& row = row_of(options.strategy);
  ProblemOptions asked = options.problem;
  auto not_honoured = take_what_is_not_honoured(row, profile.windows.size() > 1, asked);
  EVENKEEL_TRY(problem, Problem::create(profile, cluster, std::move(asked)));
  EVENKEEL_TRY_STATUS(refuse_what_is_not_honoured(row, problem));
  for (std::string& note : not_searched(row, problem)) not_honoured.push_back(std::move(note));
  Run run(options.effort, options.diagnostics, observer);
  auto draft = row.solve(problem, run);
  if (!draft && draft.error().code == ErrorCode::kTimeLimit)
    return time_limit(fmt::format("{} {}", row.name, draft.error().message));
  if (!draft) return tl::unexpected(std::move(draft).error());
  EVENKEEL_TRY(solution, finish(problem, run, *std::move(draft)));
  solution.not_honoured = std::move(not_honoured);
  return std::move(solution);
}

}  // namespace evenkeel
