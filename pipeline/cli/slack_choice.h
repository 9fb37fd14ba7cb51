#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/model/cluster.h"
#include "partition/model/result.h"
#include "partition/model/routing_profile.h"
#include "partition/place.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// What slacks are tried on: a placement is fitted to one half and scored on the other.
struct TrialTraffic {
  RoutingProfile fit;
  RoutingProfile score;
};

/// Every second of the sequences (parts of a trace), and the others. Fails with kInvalidInput where there are fewer
/// than two, or where the trace has no token paths, so that no slack is used.
[[nodiscard]] Result<TrialTraffic> trial_traffic(const Trace& trace, const std::vector<std::size_t>& sequences);

/// A slack, and what is left of the budget after looking for it.
struct SlackChoice {
  PlaceOptions options;
  double seconds = 0;
};

/// The options with the slack of 0, 0.005, 0.01, 0.02, 0.05 and 0.1 whose placement has the least modelled step time on
/// traffic that it was not fitted to; the smaller one if equal. Takes half of the time (or work units), shared evenly;
/// the options have the other half. Fails as place().
[[nodiscard]] Result<SlackChoice> choose_slack(const TrialTraffic& traffic, const Cluster& cluster,
                                               PlaceOptions options, const StepTimeModel& model,
                                               const StageObserver& observer);

/// What a user is told of the chosen slack.
[[nodiscard]] std::string slack_note(const PlaceOptions& chosen);

}  // namespace evenkeel
