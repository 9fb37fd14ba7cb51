#include "pipeline/cli/solve_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "pipeline/cli/command_error.h"
#include "pipeline/cli/option_values.h"
#include "pipeline/cli/parsed_option.h"
#include "pipeline/flags/setting.h"

namespace evenkeel {
namespace {

/// More than a window a sequence of any recording at hand; each takes a table of loads.
constexpr std::size_t kWindowsMax = 4096;

constexpr std::array<std::pair<const char*, bool Ablation::*>, 4> kStages{{
    {"metis", &Ablation::metis},
    {"transport", &Ablation::transport},
    {"search", &Ablation::search},
    {"glpk", &Ablation::glpk},
}};

const ValueNames<Balance>& balance_names() {
  static const ValueNames<Balance> names{{"load", Balance::kLoad}, {"time", Balance::kTime}};
  return names;
}

/// Adds --without.
void add_without(CLI::App& command, Ablation& without) {
  std::vector<std::string> stages;
  for (const auto& [stage, is_left_out] : kStages) stages.emplace_back(stage);
  command
      .add_option_function<std::vector<std::string>>(
          "--without",
          [&without](const std::vector<std::string>& given) {
            for (const auto& [stage, is_left_out] : kStages)
              without.*is_left_out = std::ranges::find(given, stage) != given.end();
          },
          "Leave stages out: metis, transport, search, glpk; with commas")
      ->delimiter(',')
      ->check(CLI::IsMember(stages))
      ->envname(environment_name(command, "--without"));
}

bool has_lost(const Cluster& cluster) { return std::ranges::find(cluster.slots, 0U) != cluster.slots.end(); }

}  // namespace

void SolveArguments::add_to(CLI::App& command) {
  add_setting(command, "--redundant", options.problem.redundant, "Spare slots a layer, over all GPUs")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 24))
      ->capture_default_str();
  add_choice(command, "--split", options.problem.split, split_names(),
             "How an expert's tokens are split over its replicas: even, as engines do, or uneven: the shares with the "
             "least largest GPU load")
      ->default_str("even");
  add_setting(command, "--survive", options.problem.survive,
              "1: every expert on two GPUs, and on two nodes where there are several, so that one can be lost")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1}))
      ->capture_default_str();
  add_setting(command, "--groups", groups,
              "Routing groups of the model; eplb-hierarchical packs them to nodes; default: those of --model, or 1");
  add_parsed(command, "--slack", slack, parse_slack,
             "Largest accepted load above the best found, as a ratio; auto: load and communication are weighed by the "
             "modelled step time of traffic to come, strategy evenkeel; 0.02 where that cannot be tried")
      ->default_str("auto");
  add_parsed(command, "--time", time, parse_duration,
             "Solver time of each strategy: 500ms, 10s, 2m; default: 10s, and 1s where GPUs are lost");
  add_choice(command, "--balance", balance, balance_names(),
             "What of each GPU is evened out: load in tokens, or the modelled time of a step of --batch-tokens, "
             "touched experts included; default: time where the cluster's speeds differ, else load");
  add_setting(command, "--work", options.effort.work_units,
              "Budget in work units instead of --time; equal runs give equal placements");
  add_setting(command, "--seed", options.effort.seed, "Seed of everything random")->capture_default_str();
  add_setting(command, "--threads", options.effort.threads, "Threads of the search: 1 or 2")
      ->check(CLI::Range(std::size_t{1}, std::size_t{2}))
      ->capture_default_str();
  add_parsed(command, "--objective", options.problem.objective.weighted, parse_objective,
             "lexicographic: load first, then communication within --slack; or weighted:A,B: the sum of max / mean "
             "load, A x share to another GPU of the node and B x share to another node")
      ->default_str("lexicographic");
  add_setting(command, "--windows", windows,
              "Windows the fitted sequences are cut into, in file order; loads in windows keep their own; default: 1, "
              "or what goes best with --slack auto")
      ->check(CLI::Range(std::size_t{1}, kWindowsMax))
      ->capture_default_str();
  add_parsed(command, "--robust", options.problem.robust, parse_robust,
             "What of a layer's largest loads in several windows is made small: mean, max or cvar:Q, the mean of the "
             "worst 1 - Q of them; strategy evenkeel; default: mean");
  add_without(command, options.diagnostics.without);
}

std::size_t SolveArguments::groups_of(const std::optional<ModelSpec>& model) const {
  return groups.value_or(model ? model->routing_groups : options.problem.groups);
}

std::chrono::duration<double> SolveArguments::time_for(const Cluster& cluster) const {
  return time.value_or(std::chrono::seconds(has_lost(cluster) ? 1 : 10));
}

PlaceOptions SolveArguments::with(Strategy strategy, const ModelArguments& model, Comm comm, const Cluster& cluster,
                                  std::size_t experts) const {
  PlaceOptions result = options;
  result.strategy = strategy;
  result.problem.groups = groups_of(model.spec);
  result.effort.time = time_for(cluster);
  result.problem.load_slack_ratio = slack.value_or(ProblemOptions{}.load_slack_ratio);
  const bool has_speeds = std::ranges::adjacent_find(cluster.speeds, std::not_equal_to<>()) != cluster.speeds.end();
  if (balance ? *balance == Balance::kTime : has_speeds) result.problem.time_model = model.step_time(cluster);
  // The slots that a cluster gives are the measure; place() says where they are too few, or contradict --redundant.
  const bool is_given = result.problem.redundant > 0 && !has_lost(cluster);
  if (!is_given && cluster.slots_in_all() > experts) result.problem.redundant = cluster.slots_in_all() - experts;
  result.problem.objective.comm = comm;
  // Who asks for windows to be weighed wants caps on them.
  if (!slack && !windows && !options.problem.robust) result.problem.step = model.step_time(cluster);
  if (result.problem.robust && result.problem.objective.weighted) {
    refuse(
        "--robust caps the load of windows, the weighted objective has no caps; give the lexicographic one or leave "
        "--robust out");
  }
  if (!result.problem.robust) result.problem.robust = Robust{};
  return result;
}

std::vector<std::string> names_of(const Ablation& without) {
  std::vector<std::string> names;
  for (const auto& [stage, is_left_out] : kStages) {
    if (without.*is_left_out) names.emplace_back(stage);
  }
  return names;
}

void check_robust(const SolveArguments& solve, const FromArguments& from) {
  if (!solve.options.problem.robust || !from.has_budget()) return;
  refuse(
      fmt::format("--robust and {} are both given; windows are not weighed within a budget of moves, so leave one out",
                  from.budget_flag()));
}

}  // namespace evenkeel
