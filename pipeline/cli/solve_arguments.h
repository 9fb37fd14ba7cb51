#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "partition/model/cluster.h"
#include "partition/model/model_spec.h"
#include "partition/place.h"
#include "pipeline/cli/from_arguments.h"
#include "pipeline/cli/model_arguments.h"

namespace evenkeel {

/// What of each GPU is evened out.
enum class Balance { kLoad, kTime };

/// How a placement is searched. Flags set the options, but for what depends on model, cluster or trace.
struct SolveArguments {
  PlaceOptions options;
  /// Absent: those of the model, or 1.
  std::optional<std::size_t> groups;
  /// Absent: 10 s, and 1 s where GPUs are lost.
  std::optional<std::chrono::duration<double>> time;
  /// Absent: time where speeds differ, else load.
  std::optional<Balance> balance;
  /// Absent: the modelled step decides, by itself under dispatch, by trials of several slacks for resident
  /// communication.
  std::optional<double> slack;
  /// Windows that the fitted sequences are cut into; absent: 1, or what goes best with a slack that is chosen.
  std::optional<std::size_t> windows;

  void add_to(CLI::App& command);
  [[nodiscard]] std::chrono::duration<double> time_for(const Cluster& cluster) const;
  /// Whether slacks are to be tried for a strategy that looks at one.
  [[nodiscard]] bool tries_slacks(Strategy strategy, Comm comm) const {
    return !slack && comm == Comm::kResident && strategy == Strategy::kEvenkeel && !options.problem.objective.weighted;
  }
  /// Which way tokens travel: engines dispatch; the weighted objective is of resident communication.
  [[nodiscard]] Comm comm(const ModelArguments& model) const {
    return model.comm(options.problem.objective.weighted ? Comm::kResident : Comm::kDispatch);
  }
  [[nodiscard]] std::size_t groups_of(const std::optional<ModelSpec>& model) const;
  /// The options with a strategy, the model's groups and a way to count communication, for a cluster that may give the
  /// slots.
  [[nodiscard]] PlaceOptions with(Strategy strategy, const ModelArguments& model, Comm comm, const Cluster& cluster,
                                  std::size_t experts) const;
};

/// Names of the stages that are left out.
[[nodiscard]] std::vector<std::string> names_of(const Ablation& without);

/// Throws a CommandError where --robust is asked for together with a budget of moves, which does not look at windows.
void check_robust(const SolveArguments& solve, const FromArguments& from);

}  // namespace evenkeel
