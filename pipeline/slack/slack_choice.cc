#include "pipeline/slack/slack_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "partition/cost/metrics.h"
#include "partition/foundation/budget.h"

namespace evenkeel {
namespace {

/// Tried in this order, after the slack that a user has otherwise, as far as time goes.
constexpr std::array<double, 4> kSlacks{0.01, 0, 0.05, 0.005};
constexpr std::size_t kWindows = 4;
/// Share of the time for trials.
constexpr double kTrialShare = 0.5;
/// What the options keep of the time even where trials take longer than expected.
constexpr double kKeptShare = 0.3;
constexpr std::size_t kStretches = 16;

/// Fits options to every second stretch of the sequences and scores them on the others, and the other way round.
/// Token paths are large, so they are copied out of the trace where they are looked at and not kept.
class Trials {
 public:
  Trials(const TrialTraffic& traffic, const Cluster& cluster, const StepTimeModel& model, const StageObserver& observer)
      : trace_(traffic.trace), cluster_(cluster), model_(model), observer_(observer) {
    const std::size_t count = traffic.sequences.size();
    const std::size_t length = (count + kStretches - 1) / kStretches;
    for (std::size_t i = 0; i < count; ++i) halves_[i / length % 2].sequences.push_back(traffic.sequences[i]);
    for (Half& half : halves_) half.steps = in_steps(half.sequences);
  }

  /// Sum of the modelled step times of both halves, each as a whole and as the mean of its steps.
  Result<double> step_seconds(const PlaceOptions& options, std::size_t windows) const {
    const Comm comm = options.problem.objective.comm;
    double sum = 0;
    for (std::size_t fitted = 0; fitted < halves_.size(); ++fitted) {
      EVENKEEL_TRY(solution,
                   place(profile_of(trace_, halves_[fitted].sequences, windows), cluster_, options, observer_));
      const Half& scored = halves_[1 - fitted];
      EVENKEEL_TRY(whole, step_seconds(scored.sequences, solution.placement, comm));
      sum += whole;
      for (const std::vector<std::size_t>& step : scored.steps) {
        EVENKEEL_TRY(seconds, step_seconds(step, solution.placement, comm));
        sum += seconds / static_cast<double>(scored.steps.size());
      }
    }
    return sum;
  }

 private:
  struct Half {
    std::vector<std::size_t> sequences;
    std::vector<std::vector<std::size_t>> steps;
  };

  /// Sequences one after the other, as many as make a step's tokens: fewer differ by chance alone. Windows of loads are
  /// whole.
  [[nodiscard]] std::vector<std::vector<std::size_t>> in_steps(const std::vector<std::size_t>& sequences) const {
    if (!trace_.load_windows.empty()) return {sequences};
    const std::vector<std::uint64_t>& start = trace_.paths.sequence_start;
    std::vector<std::vector<std::size_t>> steps;
    std::vector<std::size_t> step;
    std::uint64_t tokens = 0;
    for (const std::size_t sequence : sequences) {
      step.push_back(sequence);
      tokens += start[sequence + 1] - start[sequence];
      if (tokens < model_.batch_tokens) continue;
      steps.push_back(std::exchange(step, {}));
      tokens = 0;
    }
    if (steps.empty()) steps.push_back(sequences);
    return steps;
  }

  [[nodiscard]] Result<double> step_seconds(const std::vector<std::size_t>& sequences, const Placement& placement,
                                            Comm comm) const {
    EVENKEEL_TRY(metrics, measure(profile_of(trace_, sequences), placement, cluster_, model_, comm));
    return metrics.step_time_seconds;
  }

  const Trace& trace_;
  const Cluster& cluster_;
  const StepTimeModel& model_;
  const StageObserver& observer_;
  std::array<Half, 2> halves_;
};

}  // namespace

Status check_trials(const TrialTraffic& traffic) {
  if (traffic.trace.paths.empty()) {
    return invalid_input("slack trades load for communication, but the trace has no token paths; leave it out",
                         {"slack"});
  }
  if (traffic.sequences.size() < 2) {
    return invalid_input(
        "slacks are tried by fits to one half of the sequences, scored on the other, but there is one sequence",
        {"slack"});
  }
  return {};
}

Result<SlackChoice> choose_slack(const TrialTraffic& traffic, const Cluster& cluster, PlaceOptions options,
                                 const StepTimeModel& model, const StageObserver& observer) {
  EVENKEEL_TRY_STATUS(check_trials(traffic));
  const Budget clock = Budget::wall(kTrialShare * options.effort.time);
  const Trials trials(traffic, cluster, model, observer);
  SlackChoice choice{options, traffic.windows.value_or(1)};
  const bool tries_windows = !traffic.windows && traffic.trace.load_windows.empty() && weighs_windows(options);
  std::size_t left = kSlacks.size() + (tries_windows ? 2 : 1);
  PlaceOptions trial = options;
  trial.diagnostics.has_bound = false;
  if (options.effort.work_units) {
    const auto units = static_cast<double>(*options.effort.work_units);
    choice.options.effort.work_units = static_cast<std::uint64_t>((1 - kTrialShare) * units);
    trial.effort.work_units = static_cast<std::uint64_t>(kTrialShare * units / static_cast<double>(2 * left));
  }

  double least_seconds = std::numeric_limits<double>::infinity();
  // Of one of a trial's two placements, beside searching.
  std::chrono::duration<double> aside{0};
  const auto attempt = [&](double slack, std::size_t windows) -> Status {
    const auto share = clock.remaining() / static_cast<double>(2 * left--);
    if (!options.effort.work_units && share <= aside && std::isfinite(least_seconds)) return {};
    trial.problem.load_slack_ratio = slack;
    trial.effort.time = std::max(std::chrono::duration<double>(0), share - aside);
    const auto before = clock.elapsed();
    EVENKEEL_TRY(seconds, trials.step_seconds(trial, windows));
    aside = std::max(std::chrono::duration<double>(0), (clock.elapsed() - before) / 2 - trial.effort.time);
    const bool is_tie = seconds == least_seconds && slack < choice.options.problem.load_slack_ratio;
    if (seconds >= least_seconds && !is_tie) return {};
    least_seconds = seconds;
    choice.options.problem.load_slack_ratio = slack;
    choice.windows = windows;
    return {};
  };
  const double usual_slack = ProblemOptions{}.load_slack_ratio;
  EVENKEEL_TRY_STATUS(attempt(usual_slack, choice.windows));
  if (tries_windows) EVENKEEL_TRY_STATUS(attempt(usual_slack, kWindows));
  for (const double slack : kSlacks) EVENKEEL_TRY_STATUS(attempt(slack, choice.windows));
  choice.options.effort.time = std::max(options.effort.time - clock.elapsed(), kKeptShare * options.effort.time);
  choice.seconds = clock.elapsed().count();
  return choice;
}

std::string SlackChoice::note() const {
  return fmt::format(
      "slack {} over {} window{} has the least modelled step time of those tried on sequences that were "
      "not fitted",
      options.problem.load_slack_ratio, windows, windows == 1 ? "" : "s");
}

}  // namespace evenkeel
