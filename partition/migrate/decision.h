#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace evenkeel {

/// What is gained and lost by a migration.
struct MigrationStakes {
  /// Experts to copy.
  std::size_t moves;
  /// Modelled time of one step under the placement that runs, and under the one to come.
  std::chrono::duration<double> step_before;
  std::chrono::duration<double> step_after;
  /// Steps until the placement is changed again. Range: 0 or more.
  double steps = 1000;
  /// Serving time that the migration costs.
  std::chrono::duration<double> lost{0};
  /// Share of the gain that must remain after the loss: traffic changes, and copies share links with serving. Range
  /// [0, 1].
  double guard_ratio = 0.1;
};

struct Decision {
  bool is_adopt;
  /// One sentence.
  std::string reason;
};

/// Adopt only if something moves and steps x time saved a step > time lost + guard_ratio x steps x time saved a step;
/// else keep what runs. Pure. Never fails.
[[nodiscard]] Decision decide(const MigrationStakes& stakes);

}  // namespace evenkeel
