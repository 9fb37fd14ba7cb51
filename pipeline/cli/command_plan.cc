#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "partition/cost/metrics.h"
#include "partition/migrate/decision.h"
#include "partition/migrate/plan.h"
#include "pipeline/cli/cluster_arguments.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/progress.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/plan_report.h"
#include "pipeline/report/scores.h"

namespace evenkeel {
namespace {

struct PlanArguments {
  InputArguments input;
  ClusterArguments cluster;
  ModelArguments model;
  PlanOptions options;
  std::optional<double> expert_bytes;
  std::filesystem::path from;
  std::filesystem::path to;
  double steps = 1000;
  double guard_ratio = 0.1;
  double stall_ratio = 0;
  std::optional<std::filesystem::path> out_dir;
  bool json = false;
};

/// The layers and experts of both files, as the model, the layer ids, or else the files have them. A file that names
/// its layers wins over one that has a row for all.
ModelShape shape_of(const PlanArguments& arguments, const Cluster& cluster) {
  PlacementHints hints{arguments.input.known_layers(arguments.model.spec), std::nullopt, cluster.gpus, cluster.nodes};
  if (arguments.model.spec) hints.hidden_layers = arguments.model.spec->hidden_layers;
  PlacementFile file = value_or_exit(read_placement_file(arguments.from, hints));
  if (file.hidden_layers) {
    PlacementFile other = value_or_exit(read_placement_file(arguments.to, hints));
    if (!other.hidden_layers) file = std::move(other);
  }
  const auto layers = file.placement.layer_ids();
  return {{layers.begin(), layers.end()}, file.placement.experts(), file.hidden_layers};
}

double expert_bytes_of(const PlanArguments& arguments) {
  return arguments.expert_bytes.value_or(arguments.model.step_time({}).expert_bytes);
}

std::chrono::duration<double> step_time_of(const PlanArguments& arguments, const RoutingProfile& profile,
                                           const std::filesystem::path& path, const Placement& placement,
                                           const Cluster& cluster) {
  const Metrics metrics = value_or_exit(
      measure(profile, placement, cluster, arguments.model.step_time(cluster), arguments.model.comm()), path.string());
  return std::chrono::duration<double>(metrics.step_time_seconds);
}

PlanVerdict verdict_of(const PlanArguments& arguments, const std::optional<RoutingProfile>& profile,
                       const Placement& from, const Placement& to, const Cluster& cluster, const MigrationPlan& plan) {
  PlanVerdict verdict;
  verdict.stall = arguments.stall_ratio * plan.time;
  if (plan.has_lost) {
    verdict.is_adopt = true;
    verdict.reason = fmt::format("GPUs are lost, and {} experts that only they held come from storage",
                                 std::llround(plan.storage_bytes / expert_bytes_of(arguments)));
    return verdict;
  }
  if (!profile) {
    verdict.reason = "whether it pays needs traffic to measure the step time on; give a trace";
    return verdict;
  }
  verdict.step_before = step_time_of(arguments, *profile, arguments.from, from, cluster);
  verdict.step_after = step_time_of(arguments, *profile, arguments.to, to, cluster);
  Decision decision = decide({.moves = plan.moves,
                              .step_before = *verdict.step_before,
                              .step_after = *verdict.step_after,
                              .steps = arguments.steps,
                              .lost = verdict.stall,
                              .guard_ratio = arguments.guard_ratio});
  verdict.is_adopt = decision.is_adopt;
  verdict.reason = std::move(decision.reason);
  return verdict;
}

void write_epochs(const std::filesystem::path& folder, const std::vector<Placement>& placements,
                  const ModelShape& shape) {
  ok_or_exit(make_folder(folder));
  for (std::size_t i = 0; i < placements.size(); ++i) {
    ok_or_exit(write_output(folder / fmt::format("epoch-{:03}.json", i + 1),
                            value_or_exit(placement_text(placements[i], PlacementFormat::kEvenkeel, shape))));
  }
}

void run(PlanArguments& arguments) {
  const Cluster cluster = arguments.cluster.read().cluster;
  Progress progress;
  std::optional<RoutingProfile> profile;
  if (!arguments.input.traces.empty()) {
    Trace trace = arguments.input.read(arguments.model.spec, progress);
    arguments.model.settle_top_k(trace);
    profile = profile_of(std::move(trace));
  }
  const ModelShape shape = profile ? profile->shape : shape_of(arguments, cluster);
  const Placement from = value_or_exit(read_placement(arguments.from, shape, cluster.gpus, cluster.nodes));
  const Placement to = value_or_exit(read_placement(arguments.to, shape, cluster.gpus, cluster.nodes));
  progress.show("planning");
  PlanOptions options = arguments.options;
  options.expert_bytes = expert_bytes_of(arguments);
  const MigrationPlan plan = value_or_exit(plan_migration(from, to, cluster, options));
  const PlanVerdict verdict = verdict_of(arguments, profile, from, to, cluster, plan);
  if (arguments.out_dir) write_epochs(*arguments.out_dir, epoch_placements(plan, from, to), shape);
  progress.show("");
  arguments.model.tell_top_k();
  ok_or_exit(write_output(
      "-", arguments.json ? json_text(plan_json(plan, verdict, from.layer_ids())) : plan_table(plan, verdict)));
}

void add_options(CLI::App& command, PlanArguments& arguments) {
  arguments.input.add_to(command);
  command.get_option("TRACE")->required(false);
  arguments.cluster.add_to(command);
  arguments.model.add_to(command);
  command.add_option("--from", arguments.from, "The placement that serves, in any known format")->required();
  command.add_option("--to", arguments.to, "The placement to get to")->required();
  add_setting(command, "--spare", arguments.options.spare,
              "Expert buffers of a GPU to load into while serving goes on, all layers together")
      ->check(CLI::Range(std::size_t{0}, kExpertsMax))
      ->capture_default_str();
  add_setting(command, "--expert-bytes", arguments.expert_bytes,
              "Bytes of one expert; default: those of --model, or of DeepSeek-V3")
      ->check(CLI::Range(1.0, 1e15));
  add_setting(command, "--steps", arguments.steps, "Steps until the placement changes again")
      ->check(CLI::Range(0.0, 1e15))
      ->capture_default_str();
  add_setting(command, "--guard", arguments.guard_ratio, "Share of the gain that must remain after the loss")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_setting(command, "--stall", arguments.stall_ratio,
              "Share of the transfer time in which serving stands still: 0 where spare buffers are loaded beside it, 1 "
              "for an engine that stops")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--out-dir", arguments.out_dir, "Also write each epoch's placement here: epoch-001.json ...");
  command.add_flag("--json", arguments.json, "Print the plan as JSON instead of a table");
}

}  // namespace

void add_plan_command(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "plan", "Turn a change of placement into epochs and transfer rounds, and say whether it pays");
  auto arguments = std::make_shared<PlanArguments>();
  add_options(*command, *arguments);
  command->footer(
      "Examples:\n"
      "  evenkeel plan --from running.json --to planned.json --cluster cluster.yaml\n"
      "  evenkeel plan trace.npz --from running.json --to planned.json --gpus 32 --nodes 4 --spare 4 --json");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace evenkeel
