#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/place.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// Traffic that slacks are tried on.
struct TrialTraffic {
  TrialTraffic(const Trace& whole, const std::vector<std::size_t>& parts, std::optional<std::size_t> given_windows)
      : trace(whole), sequences(parts), windows(given_windows) {}

  const Trace& trace;
  /// Parts of the trace, in order.
  const std::vector<std::size_t>& sequences;
  /// Windows that the user wants fitted at once; absent: those are chosen too.
  std::optional<std::size_t> windows;
};

/// Fails with kInvalidInput where the trace has no token paths, so that no slack is used, or there are fewer than two
/// sequences.
[[nodiscard]] Status check_trials(const TrialTraffic& traffic);

/// A slack, the windows to fit at once, and what it took to find them.
struct SlackChoice {
  PlaceOptions options;
  std::size_t windows = 1;
  double seconds = 0;

  /// What a user is told of it.
  [[nodiscard]] std::string note() const;
};

/// The options with what has the least modelled step time on traffic that a placement was not fitted to: of 1 and 4
/// windows fitted at once at slack 0.02, and then of slacks 0, 0.005, 0.01, 0.02 and 0.05, the smaller one if equal.
/// Trials are fitted to every second one of 16 stretches of the sequences and scored on the others, as a whole and in
/// pieces of a step's tokens, and the other way round: neighbouring sequences are alike, traffic to come is like none
/// of them, and a step serves the mix of its moment. Takes half of the time (or work units), scoring included; slacks
/// that no time is left for are not tried, 0.005 and 0.05 first. The options have what is left. Fails as place() and
/// check_trials().
[[nodiscard]] Result<SlackChoice> choose_slack(const TrialTraffic& traffic, const Cluster& cluster,
                                               PlaceOptions options, const StepTimeModel& model,
                                               const StageObserver& observer);

}  // namespace evenkeel
