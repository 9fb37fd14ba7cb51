#include "pipeline/cli/slack_choice.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "partition/cost/metrics.h"

namespace evenkeel {
namespace {

constexpr std::array<double, 6> kSlacks{0, 0.005, 0.01, 0.02, 0.05, 0.1};

}  // namespace

Result<TrialTraffic> trial_traffic(const Trace& trace, const std::vector<std::size_t>& sequences) {
  if (trace.paths.empty())
    return invalid_input("--slack auto trades load for communication, but the trace has no token paths; leave it out");
  std::array<std::vector<std::size_t>, 2> halves;
  for (std::size_t i = 0; i < sequences.size(); ++i) halves[i % 2].push_back(sequences[i]);
  if (halves[1].empty()) {
    return invalid_input(
        "--slack auto fits to one half of the sequences and scores on the other, but there is one; give a number");
  }
  return TrialTraffic{profile_of(trace, halves[0]), profile_of(trace, halves[1])};
}

Result<SlackChoice> choose_slack(const TrialTraffic& traffic, const Cluster& cluster, PlaceOptions options,
                                 const StepTimeModel& model, const StageObserver& observer) {
  SlackChoice choice{options};
  choice.options.time /= 2;
  if (options.work_units) *choice.options.work_units /= 2;
  PlaceOptions trial = choice.options;
  trial.time /= static_cast<double>(kSlacks.size());
  if (trial.work_units) *trial.work_units /= kSlacks.size();
  double least_seconds = std::numeric_limits<double>::infinity();
  for (const double slack : kSlacks) {
    trial.load_slack_ratio = slack;
    EVENKEEL_TRY(solution, place(traffic.fit, cluster, trial, observer));
    EVENKEEL_TRY(metrics, measure(traffic.score, solution.placement, cluster, model, options.objective.comm));
    choice.seconds += solution.solve_seconds;
    if (metrics.step_time_seconds >= least_seconds) continue;
    least_seconds = metrics.step_time_seconds;
    choice.options.load_slack_ratio = slack;
  }
  return choice;
}

std::string slack_note(const PlaceOptions& chosen) {
  return fmt::format("of slacks {} has the least modelled step time on sequences that were not fitted",
                     chosen.load_slack_ratio);
}

}  // namespace evenkeel
