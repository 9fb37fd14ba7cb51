#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pipeline/replay/lane.h"
#include "pipeline/replay/verdict.h"

namespace evenkeel {

/// Lanes of a day with so many redundant slots a layer, and what follows from them.
struct ReplayedDay {
  std::size_t redundant = 0;
  std::vector<LaneResult> lanes;
  ReplayVerdict verdict;
};

/// The document "evenkeel.replay/1" (docs/reference/replay.md). The verdict is the first day's that says rebalance,
/// else the first's.
[[nodiscard]] nlohmann::ordered_json replay_json(const std::vector<ReplayedDay>& days, const PolicyOptions& options);

/// A table of the policies, and the verdict.
[[nodiscard]] std::string replay_table(const std::vector<ReplayedDay>& days, const PolicyOptions& options);

}  // namespace evenkeel
