#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "partition/migrate/decision.h"
#include "partition/migrate/plan.h"

namespace evenkeel {

/// What is said of a migration beside its plan.
struct PlanVerdict {
  /// Modelled time in which serving stands still.
  std::chrono::duration<double> stall{0};
  /// Modelled time of one step before and after; absent without traffic to measure it on.
  std::optional<std::chrono::duration<double>> step_before;
  std::optional<std::chrono::duration<double>> step_after;
  /// Absent as well without it.
  std::optional<bool> is_adopt;
  /// One sentence.
  std::string reason;
};

/// The plan as JSON ("evenkeel.plan/1", docs/reference/plan.md). `layer_ids` are the absolute numbers of the layers.
[[nodiscard]] nlohmann::ordered_json plan_json(const MigrationPlan& plan, const PlanVerdict& verdict,
                                               std::span<const int> layer_ids);

/// The plan as a table with a row an epoch, and the verdict under it.
[[nodiscard]] std::string plan_table(const MigrationPlan& plan, const PlanVerdict& verdict);

}  // namespace evenkeel
