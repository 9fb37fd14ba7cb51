#include "pipeline/cli/slack_trials.h"

#include <fmt/format.h>

#include "pipeline/cli/notes.h"

namespace evenkeel {

std::optional<TrialTraffic> slack_trials(const SolveArguments& solve, Strategy strategy, Comm comm, const Trace& trace,
                                         const std::vector<std::size_t>& sequences) {
  if (!solve.tries_slacks(strategy, comm) || trace.paths.empty()) return std::nullopt;
  const TrialTraffic traffic(trace, sequences, solve.windows);
  if (const Status status = check_trials(traffic); !status) {
    print_note(fmt::format("slack {} is taken: {}", ProblemOptions{}.load_slack_ratio, status.error().message));
    return std::nullopt;
  }
  return traffic;
}

}  // namespace evenkeel
