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
  /// Absent: the one of several with the least modelled step time.
  std::optional<double> slack = ProblemOptions{}.load_slack_ratio;
  /// Windows that the fitted sequences are cut into; absent: 1, or what goes best with a slack that is chosen.
  std::optional<std::size_t> windows;

  void add_to(CLI::App& command);
  [[nodiscard]] std::chrono::duration<double> time_for(const Cluster& cluster) const;
  /// Whether the slack is to be chosen for a strategy that looks at one.
  [[nodiscard]] bool chooses_slack(Strategy strategy) const { return !slack && strategy == Strategy::kEvenkeel; }
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
