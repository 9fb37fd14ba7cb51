#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "pipeline/cli/solve_arguments.h"
#include "pipeline/slack/slack_choice.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// What slacks are tried on for a strategy, where they are to be and can be: resident communication, with token paths.
/// Prints a note where there are too few sequences to try them on. Both references must outlive it.
[[nodiscard]] std::optional<TrialTraffic> slack_trials(const SolveArguments& solve, Strategy strategy, Comm comm,
                                                       const Trace& trace, const std::vector<std::size_t>& sequences);

}  // namespace evenkeel
