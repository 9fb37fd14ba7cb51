#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
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
#include "pipeline/cli/progress.h"
#include "pipeline/cli/recorded_options.h"
#include "pipeline/cli/slack_trials.h"
#include "pipeline/cli/solve_arguments.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/scores.h"
#include "pipeline/trace/split.h"

namespace evenkeel {
namespace {

struct CompareArguments {
  InputArguments input;
  SelectionArguments selection;
  ClusterArguments cluster;
  ModelArguments model;
  SolveArguments solve;
  FromArguments from;
  /// Empty: the default ones.
  std::vector<Strategy> strategies;
  double holdout = 0.0;
  std::optional<std::uint64_t> holdout_seed;
  std::optional<std::filesystem::path> out_dir;
  HtmlArguments html;
  /// Slacks of further points of the report's front.
  std::vector<double> front;
  bool json = false;

  [[nodiscard]] Comm comm() const { return solve.comm(model); }
};

/// Those asked for, or the default ones: EPLB in both of its forms where they differ.
std::vector<Strategy> strategies_of(const CompareArguments& arguments, const Cluster& cluster) {
  if (!arguments.strategies.empty()) return arguments.strategies;
  std::vector<Strategy> strategies{Strategy::kContiguous, Strategy::kLpt, Strategy::kEplb};
  const std::size_t groups = arguments.solve.groups_of(arguments.model.spec);
  if (cluster.nodes > 1 && groups % cluster.nodes == 0) strategies.push_back(Strategy::kEplbHierarchical);
  strategies.push_back(Strategy::kEvenkeel);
  return strategies;
}

/// What the strategies are fitted to and scored on.
struct Traffic {
  RoutingProfile fit;
  /// Absent without a hold-out.
  std::optional<RoutingProfile> score;
  /// The placement that runs, if moves are counted from one.
  std::optional<Replan> replan;
  /// Where a slack is to be chosen.
  std::optional<TrialTraffic> trial;
};

std::vector<Strategy> parse_strategies(const std::string& flag, const std::vector<std::string>& names) {
  std::vector<Strategy> strategies;
  for (const std::string& name : names) {
    const Strategy strategy = value_or_exit(parse_strategy(flag, name));
    if (std::ranges::find(strategies, strategy) != strategies.end())
      refuse(fmt::format("{} names {} twice; name each once", flag, name));
    strategies.push_back(strategy);
  }
  return strategies;
}

/// Adds --strategies.
void add_strategies(CLI::App& command, std::vector<Strategy>& strategies) {
  command
      .add_option_function<std::vector<std::string>>(
          "--strategies",
          [&strategies](const std::vector<std::string>& names) {
            strategies = parse_strategies("--strategies", names);
          },
          "Names with commas between them, of " + strategy_names())
      ->delimiter(',')
      ->default_str("contiguous,lpt,eplb,evenkeel, and eplb-hierarchical where groups divide over several nodes")
      ->envname(environment_name(command, "--strategies"));
}

void note_joined(const JoinedWindows& joined) {
  if (joined.is_change()) print_note(joined.note());
}

void write_split(const std::filesystem::path& folder, const Split& split) {
  const nlohmann::ordered_json json{{"schema", "evenkeel.split/1"}, {"fit", split.fit}, {"score", split.score}};
  ok_or_exit(write_output(folder / "split.json", json.dump() + "\n"));
}

void weigh_windows(const Traffic& traffic, const Placement& placement, const Cluster& cluster, ScoreRow& row) {
  row.fitted_by_window = value_or_exit(imbalance_by_window(traffic.fit, placement, cluster));
  if (traffic.score) row.held_out_by_window = value_or_exit(imbalance_by_window(*traffic.score, placement, cluster));
}

/// The options with the model's step, or with a slack of their own.
PlaceOptions options_with(std::optional<double> slack, Strategy strategy, const Traffic& traffic,
                          const Cluster& cluster, const CompareArguments& arguments) {
  PlaceOptions options =
      arguments.solve.with(strategy, arguments.model, arguments.comm(), cluster, traffic.fit.shape.experts);
  options.problem.replan = traffic.replan;
  if (!slack) return options;
  options.problem.load_slack_ratio = *slack;
  options.problem.step.reset();
  return options;
}

/// Fits a strategy, with a slack of its own if one is given, and scores it.
ReportPlacement score(Strategy strategy, std::optional<double> slack, const Traffic& traffic, const Cluster& cluster,
                      const CompareArguments& arguments, Progress& progress) {
  const std::string name(strategy_name(strategy));
  const Comm comm = arguments.comm();
  PlaceOptions options = options_with(slack, strategy, traffic, cluster, arguments);
  const auto observer = [&](std::string_view stage) { progress.show(fmt::format("{}: {}", name, stage)); };
  double slack_seconds = 0;
  std::optional<std::size_t> windows;
  if (traffic.trial && !slack && strategy == Strategy::kEvenkeel) {
    SlackChoice choice = value_or_exit(
        choose_slack(*traffic.trial, cluster, std::move(options), arguments.model.step_time(cluster), observer));
    progress.show("");
    print_note(choice.note());
    options = std::move(choice.options);
    slack_seconds = choice.seconds;
    windows = choice.windows;
  }
  const bool is_cut_anew = windows && *windows != traffic.fit.windows.size();
  auto solution =
      place(is_cut_anew ? profile_of(traffic.trial->trace, traffic.trial->sequences, *windows) : traffic.fit, cluster,
            options, observer);
  ReportPlacement scored{{name, SolveStatus::kInfeasible, std::nullopt, std::nullopt, std::nullopt, std::nullopt, {}},
                         std::nullopt,
                         slack};
  ScoreRow& row = scored.score;
  if (!solution && solution.error().code == ErrorCode::kInfeasible) return scored;
  if (!solution && solution.error().code == ErrorCode::kTimeLimit) {
    row.status = SolveStatus::kTimeLimit;
    return scored;
  }
  Solution solved = value_or_exit(std::move(solution));
  row = score_row(name, solved, slack_seconds);
  if (windows) {
    row.slack = options.problem.load_slack_ratio;
    row.windows = windows;
  }
  const Placement* const running = options.problem.replan ? &options.problem.replan->running : nullptr;
  const auto measured = [&](const RoutingProfile& profile) {
    return value_or_exit(
        measure(profile, solved.placement, cluster, arguments.model.step_time(cluster), comm, running));
  };
  row.in_sample = measured(traffic.fit);
  if (traffic.score) row.held_out = measured(*traffic.score);
  weigh_windows(traffic, solved.placement, cluster, row);
  if (arguments.out_dir && !slack) {
    const std::string text =
        value_or_exit(placement_text(solved.placement, PlacementFormat::kEvenkeel, traffic.fit.shape));
    ok_or_exit(write_output(*arguments.out_dir / (name + ".json"), text));
  }
  scored.placement = std::move(solved.placement);
  return scored;
}

nlohmann::ordered_json options_of(const CompareArguments& arguments, const Cluster& cluster) {
  auto options = options_json(arguments.input, cluster, arguments.model, arguments.comm(), &arguments.solve);
  options["holdout"] = arguments.holdout;
  options["holdout_seed"] =
      arguments.holdout_seed ? nlohmann::ordered_json(*arguments.holdout_seed) : nlohmann::ordered_json(nullptr);
  return options;
}

/// Writes the report on the placements, those of further slacks among them.
void write_report(const CompareArguments& arguments, const Traffic& traffic, const Cluster& cluster,
                  std::vector<ReportPlacement> placements, Progress& progress) {
  const StepTimeModel step_time = arguments.model.step_time(cluster);
  const Comm comm = arguments.comm();
  for (const double slack : arguments.front) {
    placements.push_back(score(Strategy::kEvenkeel, slack, traffic, cluster, arguments, progress));
  }
  progress.show("report");
  const RoutingProfile* const held_out = traffic.score ? &*traffic.score : nullptr;
  HtmlReport report{"compare", options_of(arguments, cluster), cluster, comm, step_time};
  report.traffic = held_out ? held_out : &traffic.fit;
  report.is_held_out = held_out != nullptr;
  report.fitted_windows = traffic.fit.windows.size();
  for (const ReportPlacement& placement : placements)
    report.fitted_windows = placement.score.windows.value_or(report.fitted_windows);
  report.before = traffic.replan
                      ? running_placement(traffic.replan->running, traffic.fit, held_out, cluster, step_time, comm)
                      : contiguous_start(traffic.fit, held_out, cluster, step_time, comm,
                                         arguments.solve.options.problem.redundant);
  report.placements = std::move(placements);
  report.consistency = report_consistency(*report.traffic, arguments.solve.options.effort.threads);
  ok_or_exit(write_html_report(*arguments.html.file, report));
}

/// Throws a CommandError where no strategy has a placement to show.
void check_some_finished(const std::vector<ScoreRow>& rows) {
  const auto none_but = [&](auto... statuses) {
    return std::ranges::all_of(rows, [&](const ScoreRow& row) { return ((row.status == statuses) || ...); });
  };
  if (none_but(SolveStatus::kInfeasible)) {
    throw CommandError{
        {ErrorCode::kInfeasible, "no strategy has a placement for this cluster; change --gpus or --redundant"}};
  }
  if (none_but(SolveStatus::kInfeasible, SolveStatus::kTimeLimit))
    throw CommandError{{ErrorCode::kTimeLimit, "no strategy finished in its time; give more --time"}};
}

void run(CompareArguments& arguments) {
  check_robust(arguments.solve, arguments.from);
  const EpGroup group = arguments.cluster.read();
  const Cluster& whole_cluster = group.cluster;
  Progress progress;
  const Trace trace = arguments.selection.of_group(
      arguments.input, group, arguments.selection.read(arguments.input, arguments.model.spec, progress));
  arguments.model.settle_top_k(trace);
  const Split split = value_or_exit(hold_out(trace, arguments.holdout, arguments.holdout_seed));
  // Infeasible for every strategy alike, so said before any solves.
  const std::size_t experts = trace.shape.experts;
  if (whole_cluster.slots.empty()) {
    static_cast<void>(
        value_or_exit(equal_slots_per_gpu(experts, arguments.solve.options.problem.redundant, whole_cluster.gpus)));
  }
  if (arguments.out_dir) {
    ok_or_exit(make_folder(*arguments.out_dir));
    write_split(*arguments.out_dir, split);
  }
  const std::vector<Strategy>& asked = arguments.strategies;
  const bool has_ours = asked.empty() || std::ranges::find(asked, Strategy::kEvenkeel) != asked.end();
  Traffic traffic{
      profile_of(trace, split.fit, arguments.solve.windows.value_or(1)), std::nullopt, std::nullopt,
      has_ours ? slack_trials(arguments.solve, Strategy::kEvenkeel, arguments.comm(), trace, split.fit) : std::nullopt};
  // Windows that a user asks for stay apart.
  if (!arguments.solve.windows) note_joined(join_windows(traffic.fit));
  const StepTimeModel step_time = arguments.model.step_time(whole_cluster);
  traffic.replan = arguments.from.read(traffic.fit, whole_cluster, step_time, arguments.solve.options.problem.survive);
  const Cluster cluster = arguments.from.settled(whole_cluster, traffic.replan, trace.shape,
                                                 arguments.solve.options.problem.redundant, step_time);
  if (!split.score.empty()) traffic.score = profile_of(trace, split.score);
  if (traffic.score && !arguments.solve.windows) join_windows(*traffic.score);
  note_unloaded_layers(traffic.fit, traffic.replan.has_value());
  std::vector<ScoreRow> rows;
  std::vector<ReportPlacement> placements;
  for (const Strategy strategy : strategies_of(arguments, cluster)) {
    placements.push_back(score(strategy, std::nullopt, traffic, cluster, arguments, progress));
    rows.push_back(placements.back().score);
  }
  if (arguments.html.file) write_report(arguments, traffic, cluster, std::move(placements), progress);
  progress.show("");
  arguments.model.tell_top_k();
  if (arguments.json) {
    ok_or_exit(write_output(
        "-", json_text(scores_json(options_of(arguments, cluster), split.fit.size(), split.score.size(), rows))));
  } else {
    ok_or_exit(write_output("-", scores_table(rows, arguments.comm(), arguments.model.step_time(cluster))));
  }
  check_some_finished(rows);
}

}  // namespace

void add_compare_command(CLI::App& program) {
  CLI::App* const command =
      program.add_subcommand("compare", "Fit several strategies to one part of a trace, score them on the other");
  auto arguments = std::make_shared<CompareArguments>();
  arguments->input.add_to(*command);
  arguments->selection.add_to(*command);
  arguments->cluster.add_to(*command);
  arguments->model.add_to(*command);
  arguments->solve.add_to(*command);
  arguments->from.add_to(*command);
  add_strategies(*command, arguments->strategies);
  add_setting(*command, "--holdout", arguments->holdout,
              "Share of the sequences kept from the fit to score it; 0 fits all of them and scores none apart")
      ->capture_default_str();
  add_setting(*command, "--holdout-seed", arguments->holdout_seed,
              "Draws the held-out sequences at random instead of in turn");
  command->add_option("--out-dir", arguments->out_dir, "Also write every placement and split.json here");
  arguments->html.add_to(*command);
  command
      ->add_option(
          "--front", arguments->front,
          "Slacks that the report's front of balance against communication is drawn through; strategy evenkeel "
          "takes --time for each")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(0.0, 1.0));
  command->add_flag("--json", arguments->json, "Print the scores as JSON instead of a table");
  command->footer(
      "Examples:\n"
      "  evenkeel compare trace.npz --gpus 8 --holdout 0.5\n"
      "  evenkeel compare trace.npz --gpus 16 --nodes 2 --holdout 0.5 --strategies eplb,evenkeel --time 60s --json\n"
      "  evenkeel compare trace.npz --gpus 8 --from running.json --max-moves 0.1 --strategies eplb,evenkeel\n"
      "  evenkeel compare trace.npz --gpus 8 --holdout 0.5 --html report.html --front 0,0.01,0.05,0.1");
  command->callback([arguments] {
    if (!arguments->front.empty() && !arguments->html.file)
      refuse("--front is drawn in the report; give --html FILE too");
    if (arguments->html.file == "-") refuse("--html - wants the standard output that the scores go to; give it a file");
    run(*arguments);
  });
}

}  // namespace evenkeel
