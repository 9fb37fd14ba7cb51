#pragma once

#include <span>
#include <string>

#include "pipeline/replay/lane.h"

namespace evenkeel {

/// Whether rebalancing is worth having on a day that was replayed.
struct ReplayVerdict {
  bool is_rebalance = false;
  /// The best of the policies that could run; empty without one.
  std::string policy;
  /// One sentence with the figures.
  std::string reason;
  /// Of the best policy, in tokens a second; 0 without one.
  double throughput = 0;
};

/// The lane of never. Needs it among the lanes of a day.
[[nodiscard]] const LaneResult& never_of(std::span<const LaneResult> lanes);

/// Sets the best of a day's policies that could run (all but never and the oracle) against never, of this day or of the
/// one that a sweep starts from: rebalance where it serves at least `gain_min_ratio` more tokens a second, migrations
/// included. `unlimited` is evenkeel's own policy without its limit on moves,
/// null where it has none: where the limit cost something, the reason says what.
[[nodiscard]] ReplayVerdict verdict_of(std::span<const LaneResult> lanes, const LaneResult& never,
                                       const PolicyOptions& options, const LaneResult* unlimited);

}  // namespace evenkeel
