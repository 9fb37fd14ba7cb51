#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "partition/model/stage_load.h"

namespace evenkeel::rebalancer {

/// What one worker has counted in windows that are not closed yet. Pure. Memory: stages x windows x counts.
class WindowCounts {
 public:
  /// Windows a worker may be ahead of its group; what it counts beyond is added to the last of them.
  static constexpr std::size_t kOpenMax = 4;

  /// Adds what `after` counts beyond `before` (of one stage and shape).
  void add(std::uint64_t window, const StageLoad& before, const StageLoad& after);

  /// Takes out everything up to and with this window; none where nothing was counted.
  [[nodiscard]] std::vector<StageLoad> take_until(std::uint64_t window);

 private:
  /// Counts by stage of each open window.
  std::map<std::uint64_t, std::vector<StageLoad>> open_;
};

/// Workers of which one can be held against the others: two do not outvote one another.
inline constexpr std::size_t kWorkersToCompareMin = 3;

/// Scales down what is beyond four times the median of those that counted anything, from three on: a worker's tokens,
/// all stages together, and its counts of each layer. So no worker outweighs the others; honest ones differ by less.
void limit_workers(std::span<std::vector<StageLoad>> workers);
/// The sum over workers [workers], by stage.
[[nodiscard]] std::vector<StageLoad> sum_of_workers(std::span<const std::vector<StageLoad>> workers);

}  // namespace evenkeel::rebalancer
