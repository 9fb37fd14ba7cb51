#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/stage.h"

namespace evenkeel {

/// Exact counts of one stage in one stretch of traffic: a window of a profile, what a worker counted, what is expected.
struct StageLoad {
  Stage stage = Stage::kMixed;
  /// 0 where only the loads are known, as in profiles.
  std::uint64_t tokens = 0;
  /// Tokens routed to each logical expert [layers, experts].
  Grid<std::uint64_t> load_tokens = {};
  bool operator==(const StageLoad&) const = default;
};

/// Adds counts, whatever their stage, as add() of grids does.
void add(StageLoad& sum, const StageLoad& more);

/// The counts of a stage among `loads`, which are kept in the order of names; zeros where there were none yet.
[[nodiscard]] StageLoad& of_stage(std::vector<StageLoad>& loads, Stage stage, std::size_t layers, std::size_t experts);

/// Adds each to the counts of its stage.
void add_by_stage(std::vector<StageLoad>& sums, std::span<const StageLoad> more);

/// Tokens of all of them.
[[nodiscard]] std::uint64_t tokens_of(std::span<const StageLoad> loads);

}  // namespace evenkeel
