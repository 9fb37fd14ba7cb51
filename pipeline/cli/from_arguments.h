#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <vector>

#include "partition/cost/step_time.h"
#include "partition/model/cluster.h"
#include "partition/place.h"

namespace evenkeel {

/// --from, how much of it may move, and which GPUs are lost.
struct FromArguments {
  std::optional<std::filesystem::path> file;
  std::optional<double> moves_ratio_max;
  std::optional<double> bytes_max;
  std::vector<std::size_t> lost;

  void add_to(CLI::App& command);
  [[nodiscard]] bool has_budget() const { return moves_ratio_max || bytes_max; }
  /// The flag that gave the budget.
  [[nodiscard]] const char* budget_flag() const { return bytes_max ? "--max-bytes" : "--max-moves"; }
  /// The running placement for a model and cluster, with its budget of moves on this traffic; absent without --from.
  /// Where GPUs are lost, no moves beyond those that this needs are allowed by default, unless so many GPUs are to be
  /// survivable again.
  [[nodiscard]] std::optional<Replan> read(const RoutingProfile& profile, const Cluster& cluster,
                                           const StepTimeModel& model, std::size_t survive) const;
  /// The cluster with the slots that its memory has room for, and none on the lost GPUs; the others have those that the
  /// cluster gives them, or that they have in the running placement, or equally many.
  [[nodiscard]] Cluster settled(Cluster cluster, const std::optional<Replan>& replan, const ModelShape& shape,
                                std::size_t redundant, const StepTimeModel& model) const;
};

}  // namespace evenkeel
