#include "rebalancer/service/plan_settings.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "partition/cost/model_step_time.h"
#include "pipeline/config/model_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/trace/model_recording.h"
#include "pipeline/trace/trace.h"
#include "rebalancer/solver/solver_process.h"

namespace evenkeel::rebalancer {
namespace {

/// The profile's traffic by stage, all windows together.
std::vector<StageLoad> loads_of(const RoutingProfile& profile, const StepTimeModel& model) {
  const double per_token = profile.paths.top_k > 0 ? static_cast<double>(profile.paths.top_k) : model.experts_per_token;
  std::vector<StageLoad> loads;
  add_by_stage(loads, profile.windows);
  for (StageLoad& stage : loads) {
    // Of any layer: one may be without load.
    std::uint64_t busiest = 0;
    for (std::size_t layer = 0; layer < stage.load_tokens.rows(); ++layer) {
      const auto row = stage.load_tokens[layer];
      busiest = std::max(busiest, std::accumulate(row.begin(), row.end(), std::uint64_t{0}));
    }
    stage.tokens = static_cast<std::uint64_t>(static_cast<double>(busiest) / per_token);
  }
  return loads;
}

Status start_from_profile(const PlanSettings& s, const std::optional<ModelSpec>& model, CoreOptions& options) {
  EVENKEEL_TRY(trace, read_trace(s.profile, model ? read_options(*model) : ReadOptions{}));
  RoutingProfile profile = profile_of(trace);
  options.known_loads = loads_of(profile, options.policy.step_time);
  // On loads alone, as all later plans are.
  profile.paths = {};
  const PlannerOptions planner = planner_options(s);
  PlanRequest request{std::move(profile), options.cluster, {}};
  request.options.problem.redundant = options.redundant;
  request.options.effort.time = planner.solve_time;
  EVENKEEL_TRY(answer, solve_in_child(planner.command, request, planner.limits));
  EVENKEEL_TRY(placement, std::move(answer.placement));
  options.first_placement = std::move(placement);
  return {};
}

}  // namespace

void add_plan_settings(CLI::App& app, PlanSettings& s, CoreOptions& core) {
  PolicyOptions& policy = core.policy;
  add_setting(app, "--window-steps", core.window_steps,
              "Steps after which a window of counts ends; 0: where the workers say so, as replays do")
      ->capture_default_str();
  add_setting(app, "--steps-per-window", s.steps_per_window,
              "Steps that a window stands for when gains are reckoned; absent: --window-steps, or 1,000");
  add_setting(app, "--warmup-windows", policy.warmup_windows, "Windows at the start that are left out")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1'000'000}))
      ->capture_default_str();
  add_setting(app, "--min-interval-windows", policy.interval_windows, "Least windows between two migrations")
      ->capture_default_str();
  add_setting(app, "--max-moves", policy.moves_ratio_max, "Most slots that a migration may move, as a share of all")
      ->capture_default_str();
  add_setting(app, "--min-gain", policy.gain_min_ratio,
              "Least share of the modelled step time that a migration must save")
      ->capture_default_str();
  add_setting(app, "--guard", policy.guard_ratio, "Share of the gain that must remain after a migration's cost")
      ->capture_default_str();
  add_setting(app, "--stall", policy.stall_ratio, "Share of a migration's transfer time that serving stands still for")
      ->capture_default_str();
  add_setting(app, "--spare", policy.spare, "Expert buffers of a GPU to load into while serving goes on")
      ->capture_default_str();
  add_setting(app, "--batch-tokens", policy.step_time.batch_tokens, "Tokens of one modelled step, all ranks together")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 40))
      ->capture_default_str();
  add_setting(app, "--model", s.model, "The model that the step time is of: a model file, or a bundled model's name");
  add_setting(app, "--profile", s.profile, "Profile of traffic seen before, to start from its placement");
  add_setting(app, "--solve-seconds", s.solve_seconds, "Solver time a plan")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  add_setting(app, "--solve-memory-mb", s.solve_memory_mb, "Address space of the solver, in MiB")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 30))
      ->capture_default_str();
  add_setting(app, "--max-models", s.max_models, "Models and EP groups this service looks after at most")
      ->capture_default_str();
}

PlannerOptions planner_options(const PlanSettings& s) {
  PlannerOptions options;
  options.solve_time = std::chrono::duration<double>(s.solve_seconds);
  options.limits.memory_bytes = std::uint64_t{s.solve_memory_mb} << 20;
  return options;
}

Status apply(const PlanSettings& s, CoreOptions& options) {
  PolicyOptions& policy = options.policy;
  policy.cluster = options.cluster;
  std::optional<ModelSpec> model;
  if (!s.model.empty()) {
    EVENKEEL_TRY(read, read_model(s.model));
    model = std::move(read);
  }
  const std::size_t batch_tokens = policy.step_time.batch_tokens;
  policy.step_time = step_time_model(model, options.cluster);
  policy.step_time.batch_tokens = batch_tokens;
  const auto counted = static_cast<double>(options.window_steps);
  policy.window_steps = s.steps_per_window.value_or(counted > 0 ? counted : PolicyOptions{}.window_steps);
  EVENKEEL_TRY_STATUS(options.validate());
  return s.profile.empty() ? Status() : start_from_profile(s, model, options);
}

}  // namespace evenkeel::rebalancer
