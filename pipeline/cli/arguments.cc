#include "pipeline/cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "partition/cost/model_step_time.h"
#include "partition/problem/problem.h"
#include "pipeline/cli/standard_input.h"
#include "pipeline/config/bundled_files.h"
#include "pipeline/config/model_file.h"
#include "pipeline/config/strict_yaml.h"
#include "pipeline/engine/placement_file.h"
#include "pipeline/flags/nearest.h"
#include "pipeline/trace/model_recording.h"

namespace evenkeel {

namespace {

/// More than a window a sequence of any recording at hand; each takes a table of loads.
constexpr std::size_t kWindowsMax = 4096;

bool has_lost(const Cluster& cluster) { return std::ranges::find(cluster.slots, 0U) != cluster.slots.end(); }

}  // namespace

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw CommandError{{ErrorCode::kFailure, fmt::format("{}: the folder cannot be made ({}); choose another --out-dir",
                                                         folder.string(), error.message())}};
  }
}

void InputArguments::add_to(CLI::App& command) {
  command
      .add_option(
          "TRACE", traces,
          "Recorded routing in any format of docs/reference/formats.md, - for standard input; several are read as one")
      ->required();
  add_setting(command, "--experts", experts,
              "Experts of a layer, where the trace does not tell; default: largest id + 1")
      ->check(CLI::Range(std::size_t{1}, kExpertsMax));
}

void InputArguments::with_files(const std::optional<ModelSpec>& model, Progress& progress, const Read& read) const {
  if (model && experts && *experts != model->experts) {
    throw CommandError{{ErrorCode::kInvalidInput, fmt::format("--experts is {} but model {} has {}; give --model alone",
                                                              *experts, model->name, model->experts)}};
  }
  ReadOptions options = model ? read_options(*model) : ReadOptions{experts};
  options.progress = [&progress](double share) { progress.show_share("reading", share); };
  std::vector<std::filesystem::path> paths = traces;
  const auto standard_input = std::ranges::find(paths, "-");
  if (standard_input == paths.end()) return ok_or_exit(read(paths, options));
  if (std::ranges::count(paths, "-") > 1) {
    throw CommandError{{ErrorCode::kInvalidInput, "- is given twice; standard input can be read once"}};
  }
  const StandardInput input = value_or_exit(StandardInput::copy());
  *standard_input = input.path();
  if (const Status status = read(paths, options); !status) {
    throw CommandError{{status.error().code, input.renamed(status.error().message)}};
  }
}

Trace InputArguments::read(const std::optional<ModelSpec>& model, Progress& progress) const {
  Trace trace;
  with_files(model, progress, [&](const auto& paths, const ReadOptions& options) -> Status {
    EVENKEEL_TRY(read, read_traces(paths, options));
    trace = std::move(read);
    return {};
  });
  return trace;
}

void InputArguments::read_into(RecordingSink& sink, const std::optional<ModelSpec>& model, Progress& progress) const {
  with_files(model, progress,
             [&](const auto& paths, const ReadOptions& options) { return read_recordings(paths, options, sink); });
}

void SelectionArguments::add_to(CLI::App& command) {
  add_setting(command, "--skip", selection.skip_windows, "Windows left out at the start: warm-up")
      ->capture_default_str();
  add_stage_setting(command, selection.stage);
  command
      .add_option_function<std::string>(
          "--layers",
          [this](const std::string& text) {
            const auto layers = parse_numbers(text, kLayersBelow);
            if (!layers || layers->empty()) {
              throw CommandError{
                  {ErrorCode::kInvalidInput,
                   fmt::format("--layers is '{}'; give numbers and ranges such as 3-57 or 0,4,8-20/2", text)}};
            }
            selection.layers = *layers;
          },
          "Only these layers, such as 3-57: the others are left out")
      ->envname(environment_name("--layers"));
}

Trace SelectionArguments::of_group(const InputArguments& input, const EpGroup& group, Trace trace) const {
  ok_or_exit(select({0, group.stage, group.layers}, trace, input.traces.front().string()));
  return trace;
}

Trace SelectionArguments::read(const InputArguments& input, const std::optional<ModelSpec>& model,
                               Progress& progress) const {
  Trace trace = input.read(model, progress);
  ok_or_exit(select(selection, trace, input.traces.front().string()));
  return trace;
}

void ClusterArguments::add_to(CLI::App& command) {
  command_ = &command;
  add_setting(command, "--cluster", file,
              "YAML file of the cluster (docs/reference/config.md), or hardware whose number --gpus and --nodes say: " +
                  CLI::detail::join(hardware_names(), ", "));
  add_setting(command, "--ep-group", group, "The group of the cluster file, where it has several");
  add_setting(command, "--gpus", gpus, "GPUs, instead of a cluster file");
  add_setting(command, "--nodes", nodes, "Nodes the GPUs are spread over; default 1");
}

bool ClusterArguments::is_flag_given(const char* flag) const {
  const auto& given = command_->parse_order();
  return std::ranges::find(given, command_->get_option(flag)) != given.end();
}

EpGroup ClusterArguments::sized(Cluster cluster) const {
  cluster.gpus = gpus.value_or(cluster.gpus);
  cluster.nodes = nodes.value_or(cluster.nodes);
  ok_or_exit(cluster.validate());
  return {"", std::move(cluster), {}, std::nullopt};
}

std::vector<EpGroup> ClusterArguments::read_groups() const {
  if (file && !is_path(*file)) {
    std::vector<EpGroup> groups = value_or_exit(read_cluster(*file));
    return group_of({sized(std::move(groups.front().cluster))});
  }
  const bool has_file_flag = is_flag_given("--cluster");
  const bool has_count_flag = is_flag_given("--gpus") || is_flag_given("--nodes");
  const bool on_one_level = has_file_flag == has_count_flag;
  if (on_one_level && file && (gpus || nodes)) {
    throw CommandError{
        {ErrorCode::kInvalidInput, "both a cluster file and --gpus or --nodes are given; give one or the other"}};
  }
  if (file && !has_count_flag) return group_of(value_or_exit(read_cluster(*file)));
  if (group)
    throw CommandError{{ErrorCode::kInvalidInput, "--ep-group names a group of a cluster file; give --cluster"}};
  if (!gpus)
    throw CommandError{{ErrorCode::kInvalidInput, "no cluster is given; pass --gpus N [--nodes M] or --cluster FILE"}};
  return {sized({})};
}

std::vector<EpGroup> ClusterArguments::group_of(std::vector<EpGroup> groups) const {
  if (!group) return groups;
  return {value_or_exit(named_group(groups, *file, *group))};
}

EpGroup ClusterArguments::read() const {
  // Without a file there is one.
  return value_or_exit(only_group(read_groups(), file.value_or("")));
}

void add_model_option(CLI::App& command, std::optional<ModelSpec>& model) {
  command
      .add_option_function<std::string>(
          "--model", [&model](const std::string& name) { model = value_or_exit(read_model(name)); },
          "The model: a model file, or one of " + CLI::detail::join(bundled_model_names(), ", "))
      ->envname(environment_name("--model"));
}

void ModelArguments::add_to(CLI::App& command) {
  add_model_option(command, spec);
  add_setting(command, "--comm", comm_name,
              "Which way tokens travel: resident, or dispatch as in vLLM, SGLang and TensorRT-LLM; default: dispatch "
              "where the placement is for one of them and the trace has token paths, else resident")
      ->check(CLI::IsMember({"resident", "dispatch"}));
  add_setting(command, "--batch-tokens", batch_tokens, "Tokens of one modelled step, all ranks together")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 40))
      ->capture_default_str();
}

StepTimeModel ModelArguments::step_time(const Cluster& cluster) const {
  StepTimeModel result = step_time_model(spec, cluster);
  result.batch_tokens = batch_tokens;
  return result;
}

void SolveArguments::add_to(CLI::App& command) {
  add_setting(command, "--redundant", options.problem.redundant, "Spare slots a layer, over all GPUs")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 24))
      ->capture_default_str();
  add_setting(command, "--split", split,
              "How an expert's tokens are split over its replicas: even, as engines do, or uneven: the shares with the "
              "least largest GPU load")
      ->check(CLI::IsMember({"even", "uneven"}))
      ->capture_default_str();
  add_setting(command, "--survive", options.problem.survive,
              "1: every expert on two GPUs, and on two nodes where there are several, so that one can be lost")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1}))
      ->capture_default_str();
  add_setting(command, "--groups", groups,
              "Routing groups of the model; EPLB packs them to nodes; default: those of --model, or 1");
  add_setting(
      command, "--slack", slack,
      "Largest accepted load above the best found, as a ratio; auto: of several the one with the least modelled "
      "step time on sequences that a trial was not fitted to, strategy evenkeel")
      ->capture_default_str();
  add_setting(command, "--time", time,
              "Solver time of each strategy: 500ms, 10s, 2m; default: 10s, and 1s where GPUs are lost");
  add_setting(command, "--balance", balance,
              "What of each GPU is evened out: load in tokens, or the modelled time of a step of --batch-tokens, "
              "touched experts included; default: time where the cluster's speeds differ, else load")
      ->check(CLI::IsMember({"load", "time"}));
  add_setting(command, "--work", options.effort.work_units,
              "Budget in work units instead of --time; equal runs give equal placements");
  add_setting(command, "--seed", options.effort.seed, "Seed of everything random")->capture_default_str();
  add_setting(command, "--threads", options.effort.threads, "Threads of the search: 1 or 2")
      ->check(CLI::Range(std::size_t{1}, std::size_t{2}))
      ->capture_default_str();
  add_setting(command, "--objective", objective,
              "lexicographic: load first, then communication within --slack; or weighted:A,B: the sum of max / mean "
              "load, A x share to another GPU of the node and B x share to another node")
      ->capture_default_str();
  add_setting(command, "--windows", windows,
              "Windows the fitted sequences are cut into, in file order; loads in windows keep their own; default: 1, "
              "or what goes best with --slack auto")
      ->check(CLI::Range(std::size_t{1}, kWindowsMax))
      ->capture_default_str();
  add_setting(command, "--robust", robust,
              "What of a layer's largest loads in several windows is made small: mean, max or cvar:Q, the mean of the "
              "worst 1 - Q of them; strategy evenkeel; default: mean");
  add_setting(command, "--without", without, "Leave stages out: metis, transport, search, glpk; with commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"metis", "transport", "search", "glpk"}));
}

std::size_t SolveArguments::groups_of(const std::optional<ModelSpec>& model) const {
  return groups.value_or(model ? model->routing_groups : options.problem.groups);
}

std::chrono::duration<double> SolveArguments::time_for(const Cluster& cluster) const {
  return value_or_exit(parse_duration(time.value_or(has_lost(cluster) ? "1s" : "10s")));
}

PlaceOptions SolveArguments::with(Strategy strategy, const ModelArguments& model, Comm comm, const Cluster& cluster,
                                  std::size_t experts) const {
  const auto is_left_out = [&](const char* stage) { return std::ranges::find(without, stage) != without.end(); };
  PlaceOptions result = options;
  result.strategy = strategy;
  result.problem.groups = groups_of(model.spec);
  result.effort.time = time_for(cluster);
  result.problem.load_slack_ratio = value_or_exit(parse_slack(slack));
  if (slack == "auto" && objective != "lexicographic") {
    throw CommandError{
        {ErrorCode::kInvalidInput, "--slack auto is for the lexicographic objective; the weighted one has no slack"}};
  }
  const bool has_speeds = std::ranges::adjacent_find(cluster.speeds, std::not_equal_to<>()) != cluster.speeds.end();
  if (balance ? *balance == "time" : has_speeds) result.problem.time_model = model.step_time(cluster);
  // The slots that a cluster gives are the measure; place() says where they are too few, or contradict --redundant.
  const bool is_given = result.problem.redundant > 0 && !has_lost(cluster);
  if (!is_given && cluster.slots_in_all() > experts) result.problem.redundant = cluster.slots_in_all() - experts;
  result.problem.split = split == "uneven" ? ReplicaSplit::kUneven : ReplicaSplit::kEven;
  result.problem.objective = {comm, value_or_exit(parse_objective(objective))};
  result.problem.robust = value_or_exit(parse_robust(robust.value_or("mean")));
  if (robust && result.problem.objective.weighted) {
    throw CommandError{{ErrorCode::kInvalidInput,
                        "--robust caps the load of windows, the weighted objective has no caps; give the lexicographic "
                        "one or leave --robust out"}};
  }
  result.diagnostics.without = {is_left_out("metis"), is_left_out("transport"), is_left_out("search"),
                                is_left_out("glpk")};
  return result;
}

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
  if (moves_ratio_max && bytes_max) {
    throw CommandError{
        {ErrorCode::kInvalidInput, "both --max-moves and --max-bytes are given; give the one that binds"}};
  }
  if (!file && has_budget()) {
    throw CommandError{
        {ErrorCode::kInvalidInput, fmt::format("{} needs the placement that runs; give it as --from FILE",
                                               moves_ratio_max ? "--max-moves" : "--max-bytes")}};
  }
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
    if (gpu >= cluster.gpus) {
      throw CommandError{{ErrorCode::kInvalidInput,
                          fmt::format("--lost names GPU {}; give GPUs from 0 to {}", gpu, cluster.gpus - 1)}};
    }
    cluster.slots[gpu] = 0;
  }
  return cluster;
}

void check_robust(const SolveArguments& solve, const FromArguments& from) {
  if (!solve.robust || !from.has_budget()) return;
  throw CommandError{{ErrorCode::kInvalidInput,
                      fmt::format("--robust and {} are both given; windows are not weighed within a budget of moves, "
                                  "so leave one out",
                                  from.bytes_max ? "--max-bytes" : "--max-moves")}};
}

Result<double> parse_slack(const std::string& text) {
  if (text == "auto") return ProblemOptions{}.load_slack_ratio;
  double slack = -1;
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), slack);
  if (code == std::errc() && rest == text.data() + text.size() && slack >= 0 && slack <= 1) return slack;
  return invalid_input(fmt::format("--slack is '{}'; give a ratio from 0 to 1 such as 0.02, or auto", text));
}

Result<Robust> parse_robust(const std::string& text) {
  constexpr std::string_view kPrefix = "cvar:";
  if (text == "mean") return Robust{0.0};
  if (text == "max") return Robust{1.0};
  double quantile = -1;
  const char* const end = text.data() + text.size();
  if (text.starts_with(kPrefix)) {
    const auto [rest, code] = std::from_chars(text.data() + kPrefix.size(), end, quantile);
    if (code == std::errc() && rest == end && quantile >= 0 && quantile < 1) return Robust{quantile};
  }
  return invalid_input(
      fmt::format("--robust is '{}'; give mean, max, or cvar:Q with Q from 0 to below 1 such as cvar:0.75", text));
}

Result<std::optional<CommWeights>> parse_objective(const std::string& text) {
  if (text == "lexicographic") return std::optional<CommWeights>();
  constexpr std::string_view kPrefix = "weighted:";
  CommWeights weights;
  if (text.starts_with(kPrefix)) {
    const char* const end = text.data() + text.size();
    const auto [comma, code] = std::from_chars(text.data() + kPrefix.size(), end, weights.other_gpu);
    if (code == std::errc() && comma != end && *comma == ',') {
      const auto [rest, second] = std::from_chars(comma + 1, end, weights.other_node);
      const bool is_in_range =
          weights.other_gpu >= 0 && weights.other_node >= 0 && weights.other_gpu <= 1e6 && weights.other_node <= 1e6;
      if (second == std::errc() && rest == end && is_in_range) return std::optional(weights);
    }
  }
  return invalid_input(fmt::format(
      "--objective is '{}'; give lexicographic, or weighted:A,B with weights from 0 to 1e6 such as weighted:0.25,1.0",
      text));
}

std::string strategy_names() {
  std::vector<std::string> names;
  for (const Strategy strategy : all_strategies()) names.emplace_back(strategy_name(strategy));
  return CLI::detail::join(names, ", ");
}

Result<std::chrono::duration<double>> parse_duration(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  const double factor = unit.empty() || unit == "s" ? 1.0
                        : unit == "ms"              ? 1e-3
                        : unit == "m"               ? 60.0
                        : unit == "h"               ? 3600.0
                                                    : -1.0;
  if (code != std::errc() || factor < 0 || !(number >= 0) || !std::isfinite(number)) {
    return invalid_input(fmt::format("--time is '{}'; give a duration such as 500ms, 10s or 2m", text));
  }
  return std::chrono::duration<double>(number * factor);
}

Result<Strategy> parse_strategy(const std::string& name) {
  std::vector<std::string> names;
  for (const Strategy strategy : all_strategies()) {
    if (strategy_name(strategy) == name) return strategy;
    names.emplace_back(strategy_name(strategy));
  }
  return invalid_input(
      fmt::format("strategy '{}' is unknown{}; give one of {}", name, did_you_mean(name, names), strategy_names()));
}

nlohmann::ordered_json options_json(const InputArguments& input, const Cluster& cluster, const ModelArguments& model,
                                    Comm comm, const SolveArguments* solve) {
  nlohmann::ordered_json json{{"traces", nlohmann::ordered_json::array()}};
  for (const auto& path : input.traces) json["traces"].push_back(path.string());
  json["gpus"] = cluster.gpus;
  json["nodes"] = cluster.nodes;
  json["comm"] = comm == Comm::kDispatch ? "dispatch" : "resident";
  if (model.spec) json["model"] = model.spec->name;
  json["batch_tokens"] = model.batch_tokens;
  if (solve == nullptr) return json;
  json["redundant"] = solve->options.problem.redundant;
  json["split"] = solve->split;
  json["survive"] = solve->options.problem.survive;
  json["groups"] = solve->groups_of(model.spec);
  json["slack"] = solve->slack == "auto" ? nlohmann::ordered_json("auto")
                                         : nlohmann::ordered_json(value_or_exit(parse_slack(solve->slack)));
  json["time_seconds"] = solve->time_for(cluster).count();
  if (solve->options.effort.work_units) json["work"] = *solve->options.effort.work_units;
  json["seed"] = solve->options.effort.seed;
  json["objective"] = solve->objective;
  json["windows"] = solve->windows.value_or(1);
  json["robust"] = solve->robust.value_or("mean");
  if (!solve->without.empty()) json["without"] = solve->without;
  return json;
}

}  // namespace evenkeel
