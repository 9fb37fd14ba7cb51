#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "partition/foundation/result.h"
#include "rebalancer/core/core_options.h"
#include "rebalancer/solver/planner.h"

namespace evenkeel::rebalancer {

/// What evenkeel-rebalancer can be told about windows, plans and migrations beside what CoreOptions take as it is
/// given.
struct PlanSettings {
  /// Absent: as CoreOptions::window_steps; where that is 0, 1,000.
  std::optional<double> steps_per_window;
  /// Model file or name of a bundled one; empty: the defaults of StepTimeModel.
  std::string model;
  /// Profile NPZ of traffic seen before; empty: none.
  std::string profile;
  double solve_seconds = PlannerOptions{}.solve_time.count();
  std::size_t solve_memory_mb = SolverLimits{}.memory_bytes >> 20;
  std::size_t max_models = 16;
};

/// Adds every option to the program; they set `settings`, and `core` where the unit is the same.
void add_plan_settings(CLI::App& program, PlanSettings& settings, CoreOptions& core);

[[nodiscard]] PlannerOptions planner_options(const PlanSettings& settings);

/// Completes options, which have all that flags set in them and their cluster, by what `settings` say. With a profile
/// the first placement is solved for, in a child, which takes --solve-seconds. Fails with kInvalidInput where a file
/// cannot be read, with the solver's error where it finds no placement.
[[nodiscard]] Status apply(const PlanSettings& settings, CoreOptions& options);

}  // namespace evenkeel::rebalancer
