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

/// What evenkeel-rebalancer can be told about windows, plans and migrations.
struct PlanSettings {
  std::uint64_t window_steps = CoreOptions{}.window_steps;
  /// Absent: as window_steps; where that is 0, 1,000.
  std::optional<double> steps_per_window;
  std::size_t warmup_windows = PolicyOptions{}.warmup_windows;
  std::size_t min_interval_windows = PolicyOptions{}.interval_windows;
  double max_moves = PolicyOptions{}.moves_ratio_max;
  double min_gain = PolicyOptions{}.gain_min_ratio;
  double guard = PolicyOptions{}.guard_ratio;
  double stall = PolicyOptions{}.stall_ratio;
  std::size_t spare = PolicyOptions{}.spare;
  std::size_t batch_tokens = StepTimeModel{}.batch_tokens;
  /// Model file or name of a bundled one; empty: the defaults of StepTimeModel.
  std::string model;
  /// Profile NPZ of traffic seen before; empty: none.
  std::string profile;
  double solve_seconds = 1.0;
  std::size_t solve_memory_mb = SolverLimits{}.memory_bytes >> 20;
  std::size_t max_models = 16;
};

/// Adds every option to the program.
void add_plan_settings(CLI::App& program, PlanSettings& settings);

[[nodiscard]] PlannerOptions planner_options(const PlanSettings& settings);

/// Sets what `settings` say in options that have their cluster and redundant slots. With a profile the first placement
/// is solved for, in a child, which takes --solve-seconds. Fails with kInvalidInput where a file cannot be read, with
/// the solver's error where it finds no placement.
[[nodiscard]] Status apply(const PlanSettings& settings, CoreOptions& options);

}  // namespace evenkeel::rebalancer
