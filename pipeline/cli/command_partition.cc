#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>

#include "partition/model/joined_windows.h"
#include "pipeline/cli/cluster_arguments.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/from_arguments.h"
#include "pipeline/cli/html_option.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/notes.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/cli/parsed_option.h"
#include "pipeline/cli/progress.h"
#include "pipeline/cli/recorded_options.h"
#include "pipeline/cli/slack_trials.h"
#include "pipeline/cli/solve_arguments.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"

namespace evenkeel {
namespace {

struct PartitionArguments {
  InputArguments input;
  SelectionArguments selection;
  ClusterArguments cluster;
  ModelArguments model;
  SolveArguments solve;
  FromArguments from;
  Strategy strategy = Strategy::kEvenkeel;
  std::filesystem::path output;
  PlacementFormat format = PlacementFormat::kEvenkeel;
  std::optional<std::filesystem::path> report;
  HtmlArguments html;
  bool json = false;
  /// For the flags of notes.
  const CLI::App* program = nullptr;
};

/// A budget that a strategy would not look at is not to be passed over in silence.
void check_budget(Strategy strategy, const FromArguments& from) {
  if (keeps_budget_of_moves(strategy) || !from.has_budget()) return;
  refuse(fmt::format("strategy {} keeps no budget of moves; give --strategy evenkeel, or leave {} out",
                     strategy_name(strategy), from.budget_flag()));
}

/// Where a group's placement goes: beside the others under the group's name.
std::filesystem::path named(const std::filesystem::path& path, const std::string& group) {
  if (group.empty() || path == "-") return path;
  return path.parent_path() / (path.stem().string() + "." + group + path.extension().string());
}

/// Writes the report on a placement.
void write_report(const PartitionArguments& arguments, const std::filesystem::path& file, const RoutingProfile& profile,
                  const Cluster& cluster, Comm comm, const Placement* running, ReportPlacement placed) {
  const StepTimeModel step_time = arguments.model.step_time(cluster);
  HtmlReport report{"partition", options_json(arguments.input, cluster, arguments.model, comm, &arguments.solve),
                    cluster, comm, step_time};
  report.traffic = &profile;
  report.fitted_windows = profile.windows.size();
  report.before =
      running ? running_placement(*running, profile, nullptr, cluster, step_time, comm)
              : contiguous_start(profile, nullptr, cluster, step_time, comm, arguments.solve.options.problem.redundant);
  report.placements.push_back(std::move(placed));
  report.consistency = report_consistency(profile, arguments.solve.options.effort.threads);
  ok_or_exit(write_html_report(file, report));
}

/// Where a group's files go.
struct GroupFiles {
  std::filesystem::path output;
  std::optional<std::filesystem::path> html;
};

/// The slack, and the windows to fit at once, where they are to be chosen.
std::optional<SlackChoice> chosen_slack(const PartitionArguments& arguments, const Trace& trace, const Cluster& cluster,
                                        const PlaceOptions& options, const StageObserver& observer) {
  std::vector<std::size_t> sequences(trace.parts());
  std::iota(sequences.begin(), sequences.end(), std::size_t{0});
  const auto trials =
      slack_trials(arguments.solve, arguments.strategy, options.problem.objective.comm, trace, sequences);
  if (!trials) return std::nullopt;
  return value_or_exit(choose_slack(*trials, cluster, options, arguments.model.step_time(cluster), observer));
}

/// What the format does not hold; of all layers, the model tells this command.
std::vector<Note> losses_of(const Placement& placement, PlacementFormat format, const ModelShape& shape) {
  std::vector<Note> losses = placement_losses(placement, format, shape);
  for (Note& loss : losses) std::ranges::replace(loss.fields, std::string("hidden_layers"), std::string("model"));
  return losses;
}

/// Places the experts of one EP group, and writes its placement.
ScoreRow place_group(const PartitionArguments& arguments, const EpGroup& group, Trace trace, const GroupFiles& files,
                     Progress& progress, std::string& summary) {
  const PlacementFormat format = arguments.format;
  const Comm comm = arguments.solve.comm(arguments.model);
  const StepTimeModel step_time = arguments.model.step_time(group.cluster);
  RoutingProfile profile = loads_of(trace, arguments.solve.windows.value_or(1));
  if (!arguments.solve.windows) {
    const JoinedWindows joined = join_windows(profile);
    if (joined.is_change()) print_note(joined.note());
  }
  const std::size_t redundant = arguments.solve.options.problem.redundant;
  auto replan = arguments.from.read(profile, group.cluster, step_time, arguments.solve.options.problem.survive);
  const Cluster cluster = arguments.from.settled(group.cluster, replan, profile.shape, redundant, step_time);
  PlaceOptions options =
      arguments.solve.with(arguments.strategy, arguments.model, comm, cluster, profile.shape.experts);
  options.problem.replan = std::move(replan);
  const std::string name(strategy_name(arguments.strategy));
  const auto observer = [&](std::string_view stage) { progress.show(fmt::format("{}: {}", name, stage)); };
  const auto choice = chosen_slack(arguments, trace, cluster, options, observer);
  if (choice) {
    progress.show("");
    print_note(choice->note());
    options = choice->options;
    if (choice->windows != profile.windows.size()) profile = loads_of(trace, choice->windows);
  }
  // The token paths are most of the memory, so they are held once.
  if (!trace.paths.empty()) profile.paths = std::move(trace.paths);
  const Solution solution = value_or_exit(place(profile, cluster, options, observer));
  ScoreRow row = score_row(name, solution, choice ? choice->seconds : 0.0);
  const Placement* const running = options.problem.replan ? &options.problem.replan->running : nullptr;
  row.in_sample = value_or_exit(measure(profile, solution.placement, cluster, step_time, comm, running));
  row.fitted_by_window = value_or_exit(imbalance_by_window(profile, solution.placement, cluster));
  ok_or_exit(write_output(files.output, value_or_exit(placement_text(solution.placement, format, profile.shape))));
  if (files.html) {
    progress.show("report");
    write_report(arguments, *files.html, profile, cluster, comm, running, {row, solution.placement});
  }
  progress.show("");
  note_unloaded_layers(profile, running != nullptr);
  print_notes(*arguments.program, losses_of(solution.placement, format, profile.shape));
  if (choice) {
    row.slack = options.problem.load_slack_ratio;
    row.windows = choice->windows;
  }
  if (row.replan) summary += replan_text(*row.replan, solution.placement) + "\n";
  summary += fmt::format("wrote {} ({} layers of {} slots on {} GPUs)\n", files.output.string(),
                         solution.placement.layers(), solution.placement.slots(), cluster.gpus);
  return row;
}

void run(PartitionArguments& arguments) {
  check_budget(arguments.strategy, arguments.from);
  check_robust(arguments.solve, arguments.from);
  const std::vector<EpGroup> groups = arguments.cluster.read_groups();
  const bool is_one = groups.size() == 1;
  if (!is_one && (arguments.output == "-" || arguments.from.file))
    refuse("the cluster file has several EP groups; name one with --ep-group, for -o - and for --from");
  Progress progress;
  Trace trace = arguments.selection.read(arguments.input, arguments.model.spec, progress);
  arguments.model.settle_top_k(trace);
  std::vector<ScoreRow> rows;
  std::string summary;
  for (const EpGroup& group : groups) {
    GroupFiles files{arguments.output, arguments.html.file};
    if (!is_one) {
      files.output = named(files.output, group.name);
      if (files.html) files.html = named(*files.html, group.name);
    }
    const bool is_last = &group == &groups.back();
    Trace traffic = arguments.selection.of_group(arguments.input, group, is_last ? std::move(trace) : trace);
    rows.push_back(place_group(arguments, group, std::move(traffic), files, progress, summary));
    if (!is_one) rows.back().strategy = group.name;
  }
  arguments.model.tell_top_k();
  nlohmann::ordered_json report = to_json(rows.front());
  if (!is_one) {
    report = nlohmann::ordered_json::array();
    for (const ScoreRow& row : rows) report.push_back(to_json(row));
  }
  if (arguments.report) ok_or_exit(write_output(*arguments.report, json_text(report)));
  if (arguments.json) {
    ok_or_exit(write_output("-", json_text(report)));
  } else if (arguments.output != "-" && arguments.html.file != "-") {
    ok_or_exit(write_output("-", scores_table(rows, arguments.solve.comm(arguments.model),
                                              arguments.model.step_time(groups.front().cluster)) +
                                     summary));
  }
}

}  // namespace

void add_partition_command(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("partition", "Place the experts of a recorded trace and write the map");
  auto arguments = std::make_shared<PartitionArguments>();
  arguments->program = &program;
  arguments->input.add_to(*command);
  arguments->selection.add_to(*command);
  arguments->cluster.add_to(*command);
  arguments->model.add_to(*command);
  arguments->solve.add_to(*command);
  arguments->from.add_to(*command);
  add_parsed(*command, "--strategy", arguments->strategy, parse_strategy, "One of " + strategy_names())
      ->default_str(std::string(strategy_name(arguments->strategy)));
  command->add_option("-o,--output", arguments->output, "Where the placement goes; - is standard output")->required();
  add_choice(*command, "--format", arguments->format, format_names(), "Format of the placement")
      ->default_str(name_of(format_names(), arguments->format));
  command->add_option("--report", arguments->report, "Also write the figures as JSON here");
  arguments->html.add_to(*command);
  command->add_flag("--json", arguments->json, "Print the figures as JSON instead of a table");
  command->footer(
      "Examples:\n"
      "  evenkeel partition trace.npz --gpus 8 -o placement.json\n"
      "  evenkeel partition counts.json --gpus 32 --nodes 4 --redundant 32 -o map.json --format sglang\n"
      "  evenkeel partition today.npz --gpus 8 --from placement.json --max-moves 0.1 -o next.json\n"
      "  evenkeel partition trace.npz --gpus 8 -o placement.json --html report.html");
  command->callback([arguments] {
    const int on_stdout = int{arguments->json} + int{arguments->output == "-"} + int{arguments->report == "-"} +
                          int{arguments->html.file == "-"};
    if (on_stdout > 1) {
      refuse("more than one of --json, -o -, --report - and --html - want standard output; write the others to files");
    }
    run(*arguments);
  });
}

}  // namespace evenkeel
