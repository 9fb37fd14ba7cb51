#include "pipeline/cli/from_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "partition/problem/problem.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/config/cluster_file.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/flags/setting.h"

namespace evenkeel {

void FromArguments::add_to(CLI::App& command) {
  add_setting(command, "--from", file, "The placement that runs: moves are counted from it, and few are made");
  add_setting(command, "--max-moves", moves_ratio_max,
              "Most slots that may change, as a share of all slots of layers with load; needs --from")
      ->check(CLI::Range(0.0, 1.0));
  add_setting(command, "--max-bytes", bytes_max,
              "Most bytes of experts that may move between GPUs, such as 44e9; needs --from")
      ->check(CLI::NonNegativeNumber);
  add_setting(command, "--lost", lost,
              "GPUs that are lost, with commas: what was on them goes to the slots of replicas on the others, by the "
              "fewest moves and those of --max-moves or --max-bytes beyond them; strategy evenkeel")
      ->delimiter(',');
}

std::optional<Replan> FromArguments::read(const RoutingProfile& profile, const Cluster& cluster,
                                          const StepTimeModel& model, std::size_t survive) const {
  if (moves_ratio_max && bytes_max) refuse("both --max-moves and --max-bytes are given; give the one that binds");
  if (!file && has_budget())
    refuse(fmt::format("{} needs the placement that runs; give it as --from FILE", budget_flag()));
  if (!file) return std::nullopt;
  Replan replan{value_or_exit(read_placement(*file, profile.shape, cluster.gpus, cluster.nodes)), std::nullopt};
  const auto slots = static_cast<double>(replan.running.layers() * replan.running.slots());
  // A share such as 0.07 of 100 slots is 7 of them, though not in floating point.
  constexpr double kRounding = 1e-9;
  if (moves_ratio_max) {
    const auto loaded = static_cast<double>(loaded_slots(profile, replan.running.slots()));
    replan.moves_max = static_cast<std::size_t>(std::floor(*moves_ratio_max * loaded * (1 + kRounding)));
  }
  if (bytes_max) {
    const double experts = std::floor(*bytes_max / model.expert_bytes * (1 + kRounding));
    replan.moves_max = static_cast<std::size_t>(std::min(experts, slots));
  }
  if (!lost.empty() && !has_budget() && survive == 0) replan.moves_max = 0;
  return replan;
}

Cluster FromArguments::settled(Cluster cluster, const std::optional<Replan>& replan, const ModelShape& shape,
                               std::size_t redundant, const StepTimeModel& model) const {
  const double bytes_per_slot = model.expert_bytes * static_cast<double>(shape.layers());
  const std::size_t experts = shape.experts;
  cluster = value_or_exit(fitted_to_memory(std::move(cluster), bytes_per_slot, experts + redundant));
  if (lost.empty()) return cluster;
  if (cluster.slots.empty() && replan) cluster.slots = replan->running.fields().slots_of_gpu;
  if (cluster.slots.empty())
    cluster.slots.assign(cluster.gpus, value_or_exit(equal_slots_per_gpu(experts, redundant, cluster.gpus)));
  for (const std::size_t gpu : lost) {
    if (gpu >= cluster.gpus) refuse(fmt::format("--lost names GPU {}; give GPUs from 0 to {}", gpu, cluster.gpus - 1));
    cluster.slots[gpu] = 0;
  }
  return cluster;
}

}  // namespace evenkeel
