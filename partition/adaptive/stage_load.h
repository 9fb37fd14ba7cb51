#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "partition/foundation/grid.h"

namespace evenkeel {

/// Exact counts of one stage in one window.
struct StageLoad {
  /// "prefill", "decode" or "mixed".
  std::string stage = "mixed";
  std::uint64_t tokens = 0;
  /// [layers, experts]
  Grid<std::uint64_t> load_tokens;
};

[[nodiscard]] inline std::uint64_t tokens_of(const std::vector<StageLoad>& window) {
  std::uint64_t sum = 0;
  for (const StageLoad& stage : window) sum += stage.tokens;
  return sum;
}

}  // namespace evenkeel
