#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "partition/model/placement.h"
#include "partition/problem/block_report.h"
#include "partition/problem/certificate.h"

namespace evenkeel {

/// What ended a solve. Written to scores as "optimal", "ok", "time_limit", "infeasible".
enum class SolveStatus { kOptimal, kOk, kTimeLimit, kInfeasible };

/// One stage of the solver and what it did to the objective.
struct StageReport {
  std::string name;
  double seconds = 0;
  /// The objective (communication, J, or imbalance where there is no communication data) before and after. A start may
  /// be beyond the caps, and need not be what the next stage goes on with: the best within the caps is kept.
  double value_before = 0;
  double value_after = 0;
  /// What exact solves of blocks did and prove; for the stages that make them.
  std::optional<BlockReport> blocks;
};

/// What a change from the running placement moves and what for.
struct ReplanReport {
  std::size_t moves = 0;
  /// Moves of these that a valid placement needs, because GPUs lost slots.
  std::size_t moves_forced = 0;
  /// The budget, where one was kept.
  std::optional<std::size_t> moves_max;
  /// Mean over loaded layers of max / mean GPU load on the fitted traffic: of the running placement, and of the new
  /// one.
  double imbalance_before = 0;
  double imbalance_after = 0;
};

struct Solution {
  Placement placement;
  SolveStatus status = SolveStatus::kOk;
  double solve_seconds = 0;
  Certificate certificate{};
  std::vector<StageReport> stages{};
  /// With a running placement only.
  std::optional<ReplanReport> replan{};
  /// What was asked for and the strategy does not honour, a sentence each.
  std::vector<std::string> not_honoured{};
};

}  // namespace evenkeel
