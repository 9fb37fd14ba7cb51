#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "partition/model/instance.h"
#include "partition/model/placement.h"
#include "partition/problem/certificate.h"
#include "partition/problem/solution.h"

namespace evenkeel {

/// What a strategy found. finish() makes it a solution.
struct Draft {
  Placement placement;
  /// kOptimal where the strategy has proved it; kTimeLimit where it did not finish.
  SolveStatus status = SolveStatus::kOk;
  /// What the bound on communication is computed on; absent: an instance of the problem.
  std::optional<Instance> instance{};
  /// False where the bound would be of other copies than the placement has.
  bool has_bound = true;
  /// Best largest load found of each layer, as a ratio to its mean [layers]; with windows weighed, of their robust
  /// peaks. Empty: the placement's own.
  std::vector<double> z_star{};
  /// Value, load bounds and z_star where load is not tokens over equal GPUs.
  std::optional<Certificate> certificate{};
  /// Whether the verifier holds it to the problem. Published strategies may hold an expert twice on a GPU.
  bool is_checked = false;
  /// Whether GPUs may still be renamed so that few slots move.
  bool may_be_renamed = false;
  /// Moves that a valid placement needs because GPUs lost slots.
  std::size_t moves_forced = 0;
};

}  // namespace evenkeel
