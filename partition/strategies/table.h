#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/problem/draft.h"
#include "partition/problem/options.h"
#include "partition/problem/problem.h"
#include "partition/problem/run.h"

namespace evenkeel {

/// What communication a strategy looks at.
enum class Traffic { kNone, kResident, kResidentAndDispatch };

/// What of a problem a strategy honours. What it does not is refused where the placement would not be what was asked
/// for, and noted in the solution where it is only not looked at. Redundant slots all of them fill, and all have the
/// shares of an uneven split.
struct Honours {
  Traffic traffic = Traffic::kNone;
  /// Noted: with loads alone, slots searched for an uneven split; a budget of moves; windows weighed against one
  /// another.
  bool split_search = false;
  bool moves = false;
  bool windows = false;
  /// Not told: where the modelled step is not weighed, the cap by slack holds.
  bool step = false;
  /// Refused: a second copy of every expert; GPUs of unequal speed or slots; load that is modelled time.
  bool survival = false;
  bool unequal_gpus = false;
  bool time_model = false;
  /// Not a wish but a need: refused where the build is without GLPK.
  bool needs_glpk = false;
};

struct StrategyRow {
  Strategy strategy;
  std::string_view name;
  Honours honours;
  Result<Draft> (*solve)(const Problem& problem, Run& run);
};

/// Every strategy, in the order the documentation lists them.
[[nodiscard]] std::span<const StrategyRow> strategy_table();
[[nodiscard]] const StrategyRow& row_of(Strategy strategy);

/// Takes from the options what the strategy does not look at, a sentence for each. `has_windows`: the traffic has
/// several.
[[nodiscard]] std::vector<std::string> take_what_is_not_honoured(const StrategyRow& row, bool has_windows,
                                                                 ProblemOptions& options);

/// What the strategy's search does not look at of the problem, a sentence for each: the communication that is asked
/// for, an uneven split.
[[nodiscard]] std::vector<std::string> not_searched(const StrategyRow& row, const Problem& problem);

/// Fails with kInvalidInput or kInfeasible where the strategy's placement would not be what the problem asks for.
[[nodiscard]] Status refuse_what_is_not_honoured(const StrategyRow& row, const Problem& problem);

}  // namespace evenkeel
