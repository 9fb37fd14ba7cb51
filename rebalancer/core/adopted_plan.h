#pragma once

#include <cstdint>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/migrate/plan.h"
#include "partition/model/placement.h"
#include "rebalancer/core/agent_registry.h"

namespace evenkeel::rebalancer {

/// A plan that was adopted, as it goes from Windows to Migration.
struct AdoptedPlan {
  MigrationPlan migration;
  /// The placement of each epoch, in the order they are carried out. At least one.
  std::vector<Placement> placements;
  /// Counts of the window it was decided on, all stages [layers, experts]; and when that was closed.
  Grid<std::uint64_t> load_tokens;
  TimePoint window_closed_at;
};

}  // namespace evenkeel::rebalancer
