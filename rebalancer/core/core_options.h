#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "partition/adaptive/policy.h"
#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/stage_load.h"

namespace evenkeel::rebalancer {

/// What no worker can count: a report beyond is a lie or a fault.
struct CountLimits {
  /// Tokens of one worker a second, on average since its last report. A GPU prefills some 10^5.
  double tokens_per_second_max = 1e8;
  /// Tokens of one worker a step, where it counts steps.
  std::uint64_t tokens_per_step_max = std::uint64_t{1} << 20;
};

/// Of AgentRegistry.
struct RegistryOptions {
  /// Agents of the EP group; nothing is planned until all are there. Range [1, 10,000].
  std::uint32_t agents_expected = 1;
  CountLimits count_limits;
  /// Silence after which an agent counts as absent; several report intervals.
  std::chrono::milliseconds lease{5'000};
};

/// Of Windows.
struct WindowOptions {
  /// Tokens that must be new since the last plan, and that a window of --window-steps needs. One batch tells nothing:
  /// at 64 experts, top-6, 10,000 tokens put about 1,000 on an expert, a standard error of 3 %.
  std::uint64_t tokens_min = 10'000;
  /// A window ends after so many steps; 0: where the workers say that one does, as replays do.
  std::uint64_t window_steps = 1'000;
  /// Least time from one plan to the next.
  std::chrono::milliseconds interval_min{5'000};
  /// Migrations this process may commit; absent: no limit.
  std::optional<std::uint64_t> migrations_max;
  /// When to plan and what to adopt. Its cluster is the group's.
  PolicyOptions policy;
};

/// Of Migration.
struct MigrationOptions {
  /// Time the workers have to load an epoch before it is given up.
  std::chrono::milliseconds prepare_timeout{30'000};
  /// First wait before a PREPARE or COMMIT that is not acknowledged is repeated; doubles up to the largest, because a
  /// worker that takes a minute to load need not get the map 200 times.
  std::chrono::milliseconds resend_interval{300};
  std::chrono::milliseconds resend_interval_max{5'000};
};

/// Everything that one group can be told.
struct CoreOptions : RegistryOptions, WindowOptions, MigrationOptions {
  Cluster cluster;
  /// Spare slots a layer, over all GPUs.
  std::size_t redundant = 0;
  /// Placement of epoch 0, and loads known beforehand, from a stored profile; absent: contiguous, and none.
  std::optional<Placement> first_placement;
  std::vector<StageLoad> known_loads;

  /// Fails with kInvalidInput, naming the option, its value and the range.
  [[nodiscard]] Status validate() const;
  /// These with what a running service can take of other options; all else takes a restart.
  [[nodiscard]] CoreOptions reloaded(const CoreOptions& wanted) const;
};

}  // namespace evenkeel::rebalancer
