#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "pipeline/cli/cluster_arguments.h"
#include "pipeline/cli/command_error.h"
#include "pipeline/cli/commands.h"
#include "pipeline/cli/html_option.h"
#include "pipeline/cli/input_arguments.h"
#include "pipeline/cli/model_arguments.h"
#include "pipeline/cli/notes.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/cli/progress.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/replay/lane.h"
#include "pipeline/report/output_file.h"
#include "pipeline/report/replay_report.h"
#include "pipeline/report/scores.h"

namespace evenkeel {
namespace {

struct ReplayArguments {
  InputArguments input;
  ClusterArguments cluster;
  ModelArguments model;
  std::vector<std::string> policies{"evenkeel"};
  std::vector<std::size_t> redundant{0};
  /// Absent: the modelled step decides.
  std::vector<std::optional<double>> slack{std::nullopt};
  /// Empty: those of the cluster.
  std::vector<std::size_t> nodes;
  std::optional<std::filesystem::path> start;
  ReplayOptions options;
  HtmlArguments html;
  bool json = false;
};

/// The same day on one number of nodes, with one number of redundant slots and one slack.
class Day {
 public:
  Day(const ReplayArguments& arguments, const Cluster& cluster, std::size_t redundant,
      std::optional<double> slack_ratio)
      : options_(arguments.options) {
    options_.policy.cluster = cluster;
    options_.slack_ratio = slack_ratio;
    options_.policy.step_time = arguments.model.step_time(cluster);
    options_.comm = arguments.model.comm();
    options_.redundant = redundant;
    if (arguments.model.spec) options_.groups = arguments.model.spec->routing_groups;
    ok_or_exit(options_.policy.validate());
    std::vector<std::string> names = arguments.policies;
    if (std::ranges::find(names, "never") == names.end()) names.insert(names.begin(), "never");
    for (auto name = names.begin(); name != names.end(); ++name) {
      if (std::find(names.begin(), name, *name) != name)
        refuse(fmt::format("--policy names {} twice; name each once", *name));
    }
    names_ = std::move(names);
  }

  Status serve(const RoutingProfile& window, const std::optional<std::filesystem::path>& start) {
    if (lanes_.empty()) {
      const Cluster& cluster = options_.policy.cluster;
      if (start) {
        EVENKEEL_TRY(placement, read_placement(*start, window.shape, cluster.gpus, cluster.nodes));
        options_.start = std::move(placement);
        options_.redundant = options_.start->redundant();
      }
      for (const std::string& name : names_) {
        EVENKEEL_TRY(rebalancing, make_rebalancing(name, options_));
        lanes_.emplace_back(std::move(rebalancing), options_);
      }
      EVENKEEL_TRY_STATUS(begin_unlimited());
    }
    for (Lane& lane : lanes_) EVENKEEL_TRY_STATUS(lane.serve(window));
    return unlimited_ ? unlimited_->serve(window) : Status();
  }

  ReplayedDay take() && {
    ReplayedDay day{options_.policy.cluster.nodes, options_.redundant, options_.slack_ratio, {}, {}, 0, {}};
    for (Lane& lane : lanes_) day.lanes.push_back(std::move(lane).take());
    if (unlimited_) day.unlimited = std::move(*unlimited_).take();
    return day;
  }

  /// Fails where a policy has no such name, before anything is read.
  void check_names() const {
    for (const std::string& name : names_) static_cast<void>(value_or_exit(make_rebalancing(name, options_)));
  }

  [[nodiscard]] const ReplayOptions& options() const { return options_; }

 private:
  /// What the limit on moves costs evenkeel's own policy is seen beside it.
  Status begin_unlimited() {
    if (options_.policy.moves_ratio_max >= 1 || std::ranges::find(names_, "evenkeel") == names_.end()) return {};
    unlimited_options_ = options_;
    unlimited_options_.policy.moves_ratio_max = 1;
    EVENKEEL_TRY(rebalancing, make_rebalancing("evenkeel", unlimited_options_));
    unlimited_.emplace(std::move(rebalancing), unlimited_options_);
    return {};
  }

  ReplayOptions options_;
  ReplayOptions unlimited_options_;
  std::vector<std::string> names_;
  std::vector<Lane> lanes_;
  std::optional<Lane> unlimited_;
};

/// Refuses sweeps of what nothing looks at.
void check_sweeps(const ReplayArguments& arguments) {
  if (arguments.start && arguments.redundant != std::vector<std::size_t>{0})
    refuse("--start and --redundant are both given; the placement has its own spare slots, leave one out");
  const auto is_searched = [](const std::string& name) {
    return name.starts_with("every:") && (name.ends_with(":evenkeel") || name.ends_with(":metis-glpk"));
  };
  if (arguments.slack.size() > 1 && std::ranges::none_of(arguments.policies, is_searched)) {
    refuse(
        "--slack has several values, but no policy trades load for traffic: evenkeel decides on loads alone; add "
        "--policy every:N:evenkeel, or give one");
  }
}

/// A day for each combination of what is swept. Lanes keep hold of their day's options.
std::vector<std::unique_ptr<Day>> days_of(const ReplayArguments& arguments) {
  Cluster cluster = arguments.cluster.read().cluster;
  std::vector<std::unique_ptr<Day>> days;
  for (const std::size_t nodes : arguments.nodes.empty() ? std::vector{cluster.nodes} : arguments.nodes) {
    cluster.nodes = nodes;
    ok_or_exit(cluster.validate());
    for (const std::size_t redundant : arguments.redundant) {
      for (const auto& slack : arguments.slack) {
        days.push_back(std::make_unique<Day>(arguments, cluster, redundant, slack));
        days.back()->check_names();
      }
    }
  }
  return days;
}

bool has_load(const RoutingProfile& window) {
  return std::ranges::any_of(window.windows, [](const StageLoad& stage) {
    return std::ranges::any_of(stage.load_tokens.cells(), [](std::uint64_t tokens) { return tokens > 0; });
  });
}

void print_reading_notes(const WindowReader& reader, std::size_t empty_windows) {
  if (empty_windows > 0) print_note(fmt::format("{} windows without any load are left out", empty_windows));
  if (reader.has_loads())
    print_note(
        "the recording is of loads: step times are of computing alone, the same for every --comm and number of nodes");
  if (reader.assumes_top_k()) {
    print_note(
        fmt::format("the recording is of loads, which do not tell how many experts a token chooses; {} are assumed, "
                    "as DeepSeek-V3 has; give --model or --top-k",
                    WindowReader::kTopKOtherwise));
  }
}

void run(const ReplayArguments& arguments) {
  check_sweeps(arguments);
  const std::vector<std::unique_ptr<Day>> days = days_of(arguments);
  RoutingProfile last_window;
  std::size_t empty_windows = 0;
  Progress progress;
  const auto& spec = arguments.model.spec;
  WindowReader reader(arguments.input.experts ? arguments.input.experts
                      : spec                  ? std::optional(spec->experts)
                                              : std::nullopt,
                      spec ? std::optional(spec->top_k) : arguments.model.top_k,
                      [&](const RoutingProfile& window) -> Status {
                        // A step of nothing takes no time, and would flatter every policy.
                        if (!has_load(window)) {
                          ++empty_windows;
                          return {};
                        }
                        for (const auto& day : days) EVENKEEL_TRY_STATUS(day->serve(window, arguments.start));
                        if (arguments.html.file) last_window = window;
                        return {};
                      });
  arguments.input.read_into(reader, spec, progress);
  progress.show("replaying");
  ok_or_exit(reader.finish());
  progress.show("");
  print_reading_notes(reader, empty_windows);
  std::vector<ReplayedDay> replayed;
  for (const auto& day : days) replayed.push_back(std::move(*day).take());
  const PolicyOptions& policy = days.front()->options().policy;
  judge(replayed, policy);
  ok_or_exit(
      write_output("-", arguments.json ? json_text(replay_json(replayed, policy)) : replay_table(replayed, policy)));
  if (arguments.html.file) {
    const auto decides = static_cast<std::size_t>(&deciding_day(replayed) - replayed.data());
    const ReplayOptions& options = days[decides]->options();
    HtmlReport page = value_or_exit(replay_page(replayed[decides], last_window, options.policy, options.comm));
    page.consistency = report_consistency(last_window, 2);
    ok_or_exit(write_html_report(*arguments.html.file, page));
  }
}

/// Adds --slack.
void add_slacks(CLI::App& command, std::vector<std::optional<double>>& slacks) {
  command
      .add_option_function<std::vector<std::string>>(
          "--slack",
          [&slacks](const std::vector<std::string>& texts) {
            slacks.clear();
            for (const std::string& text : texts) slacks.push_back(value_or_exit(parse_slack("--slack", text)));
          },
          "Largest accepted load above the best found, of plans on token paths, as a ratio, or auto: the modelled step "
          "decides; several with commas replay the day with each")
      ->delimiter(',')
      ->default_str("auto")
      ->envname(environment_name(command, "--slack"));
}

void add_options(CLI::App& command, ReplayArguments& arguments) {
  arguments.input.add_to(command);
  arguments.cluster.add_to(command);
  arguments.model.add_to(command);
  PolicyOptions& policy = arguments.options.policy;
  command
      .add_option(
          "--policy", arguments.policies,
          "never, every:N, every:N:STRATEGY (a plan from scratch every N windows; EPLB's by default), evenkeel (the "
          "service's own decisions) or oracle (hindsight, for nothing); repeatable, never always runs")
      ->capture_default_str();
  add_setting(command, "--redundant", arguments.redundant,
              "Spare slots a layer, over all GPUs; several with commas replay the day with each")
      ->delimiter(',')
      ->capture_default_str();
  add_slacks(command, arguments.slack);
  add_setting(command, "--sweep-nodes", arguments.nodes,
              "Nodes that the GPUs are spread over, with commas: the day is replayed with each")
      ->delimiter(',');
  command.add_option("--start", arguments.start, "The placement that serves the first window; default: contiguous");
  add_setting(command, "--steps-per-window", policy.window_steps, "Steps that a window stands for")
      ->capture_default_str();
  policy.warmup_windows = 0;
  add_setting(command, "--warmup-windows", policy.warmup_windows,
              "Windows at the start that evenkeel learns nothing from: engines run made-up batches before they serve")
      ->capture_default_str();
  add_setting(command, "--max-moves", policy.moves_ratio_max,
              "Most slots that evenkeel moves at once, as a share of all slots")
      ->capture_default_str();
  add_setting(command, "--min-interval-windows", policy.interval_windows, "Least windows between evenkeel's migrations")
      ->capture_default_str();
  add_setting(command, "--min-gain", policy.gain_min_ratio,
              "Least share of the step time that is worth rebalancing for")
      ->capture_default_str();
  add_setting(command, "--stall", policy.stall_ratio,
              "Share of a migration's transfer time in which serving stands still: 1 for an engine that stops, less "
              "where spare buffers are loaded beside it")
      ->capture_default_str();
  add_setting(command, "--spare", policy.spare, "Expert buffers of a GPU for migrations, all layers together")
      ->capture_default_str();
  add_setting(command, "--work", arguments.options.work_units, "Budget of each plan in work units")
      ->capture_default_str();
  add_setting(command, "--seed", arguments.options.seed, "Seed of everything random")->capture_default_str();
  arguments.html.add_to(command);
  command.add_flag("--json", arguments.json, "Print the figures as JSON instead of a table");
}

}  // namespace

void add_replay_command(CLI::App& program) {
  CLI::App* const command = program.add_subcommand(
      "replay", "Replay a recorded or made-up day under several ways to rebalance, and say whether it is worth it");
  auto arguments = std::make_shared<ReplayArguments>();
  add_options(*command, *arguments);
  command->footer(
      "Examples:\n"
      "  evenkeel replay day.npz --gpus 8\n"
      "  evenkeel replay day.npz --gpus 32 --nodes 4 --redundant 0,32 --policy every:4 --policy evenkeel --policy "
      "oracle\n"
      "  evenkeel replay day.npz --gpus 16 --sweep-nodes 1,2,4 --html replay.html\n"
      "  evenkeel replay profile.npz --gpus 16 --policy never --json");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace evenkeel
