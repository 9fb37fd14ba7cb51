#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/problem/block_report.h"
#include "partition/problem/load_goal.h"
#include "partition/search/step_goal.h"

namespace evenkeel {

/// What stages work on. Everything outlives the stage.
struct StageInput {
  const Instance& instance;
  const LoadGoal& goal;
  /// The assignment with the best largest loads: within every cap, and what a layer falls back to.
  const Assignment& balanced;
  /// Caps of exact blocks [layers], in load units: those of the goal or, where peaks have a weight, the peaks that the
  /// blocks found.
  std::span<const std::int64_t> block_cap_units;
  std::uint64_t seed = 1;
  std::size_t threads = 1;
  /// Null where caps and communication decide.
  const StepGoal* step = nullptr;
};

/// A stage that makes an assignment to go on from. It may be beyond the caps, and cannot be cut short.
struct Start {
  std::string_view name;
  bool (*takes)(const Instance&);
  /// What it takes on a machine of 2024.
  std::chrono::duration<double> (*estimate)(const Instance&);
  Assignment (*initialise)(const StageInput&);
};

struct Refined {
  Assignment assignment;
  /// Of stages that solve blocks exactly.
  std::optional<BlockReport> blocks{};
};

/// A stage that betters an assignment until its slice of the budget ends or nothing helps.
struct Refiner {
  std::string_view name;
  bool (*takes)(const Instance&);
  /// What a first look at everything takes; with less it is not worth beginning.
  std::chrono::duration<double> (*estimate)(const Instance&);
  Refined (*refine)(const StageInput&, const Assignment& start, BudgetSlice& slice);
};

/// The balanced assignment itself.
extern const Start kBalancedStart;
/// Largest load first, and nothing else.
extern const Start kPackedStart;
/// Resident communication.
extern const Start kTransportStart;
extern const Start kMetisFoldedStart;
extern const Start kMetisLayeredStart;
/// Dispatch communication.
extern const Start kMetisCoactivationStart;

/// Resident communication: swaps from any loads to within the caps; annealing over nodes, then GPUs; what ends an
/// annealing; shaking, for small instances; renaming GPUs; exact blocks by GLPK: whole layers, pairs of GPUs.
extern const Refiner kDescent;
extern const Refiner kNodeSearch;
extern const Refiner kSearch;
extern const Refiner kSearchDescent;
extern const Refiner kShake;
extern const Refiner kRelabel;
extern const Refiner kGlpkLayers;
extern const Refiner kGlpkPairs;
/// Resident communication under caps on the robust peaks of windows.
extern const Refiner kWindowDescent;
/// Dispatch communication.
extern const Refiner kDispatchDescent;
extern const Refiner kDispatchSearch;
/// The modelled step under dispatch.
extern const Refiner kStepSearch;

/// Whether each layer is within its cap, or its windows' robust peak within theirs; true where the goal is no cap.
[[nodiscard]] bool is_within_caps(const Instance& instance, const LoadGoal& goal, const Assignment& assignment);

}  // namespace evenkeel
