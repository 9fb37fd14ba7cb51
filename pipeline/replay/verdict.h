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
};

/// Sets the best of the policies that could run (all but never and the oracle) against never: rebalance where it serves
/// at least `gain_min_ratio` more tokens a second, migrations included. Needs lanes of one day, never's among them.
[[nodiscard]] ReplayVerdict verdict_of(std::span<const LaneResult> lanes, const PolicyOptions& options);

}  // namespace evenkeel
