#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "pipeline/cli/cluster_arguments.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/progress.h"
#include "pipeline/cli/recorded_options.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"

namespace evenkeel {
namespace {

struct EvaluateArguments {
  InputArguments input;
  SelectionArguments selection;
  ClusterArguments cluster;
  ModelArguments model;
  std::vector<std::filesystem::path> placements;
  bool json = false;
};

void run(EvaluateArguments& arguments) {
  const EpGroup group = arguments.cluster.read();
  const Cluster& cluster = group.cluster;
  Progress progress;
  Trace trace = arguments.selection.of_group(arguments.input, group,
                                             arguments.selection.read(arguments.input, arguments.model.spec, progress));
  arguments.model.settle_top_k(trace);
  const std::size_t parts = trace.parts();
  const RoutingProfile profile = profile_of(std::move(trace));
  std::vector<Placement> placements;
  for (const auto& path : arguments.placements) {
    placements.push_back(value_or_exit(read_placement(path, profile.shape, cluster.gpus, cluster.nodes)));
  }
  std::vector<ScoreRow> rows;
  for (std::size_t i = 0; i < placements.size(); ++i) {
    const Placement* const from = i == 0 ? nullptr : &placements.front();
    ScoreRow row{
        arguments.placements[i].string(), SolveStatus::kOk, std::nullopt, std::nullopt, std::nullopt, std::nullopt, {}};
    row.in_sample = value_or_exit(
        measure(profile, placements[i], cluster, arguments.model.step_time(cluster), arguments.model.comm(), from),
        row.strategy);
    rows.push_back(std::move(row));
  }
  arguments.model.tell_top_k();
  if (arguments.json) {
    const auto options = options_json(arguments.input, cluster, arguments.model, arguments.model.comm(), nullptr);
    ok_or_exit(write_output("-", json_text(scores_json(options, parts, 0, rows))));
  } else {
    ok_or_exit(write_output("-", scores_table(rows, arguments.model.comm(), arguments.model.step_time(cluster))));
  }
}

}  // namespace

void add_evaluate_command(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("evaluate", "Score placements on a trace; moves are counted from the first one");
  auto arguments = std::make_shared<EvaluateArguments>();
  arguments->input.add_to(*command);
  arguments->selection.add_to(*command);
  arguments->cluster.add_to(*command);
  arguments->model.add_to(*command);
  command->add_option("--placement", arguments->placements, "A placement of any known format; repeat for more")
      ->required()
      ->allow_extra_args(false);
  command->add_flag("--json", arguments->json, "Print the scores as JSON instead of a table");
  command->footer(
      "Examples:\n  evenkeel evaluate trace.npz --gpus 8 --placement running.json --placement planned.json");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace evenkeel
