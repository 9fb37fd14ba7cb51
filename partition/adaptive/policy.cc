#include "partition/adaptive/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "partition/adaptive/imbalance.h"
#include "partition/cost/metrics.h"
#include "partition/cost/step_time_bound.h"
#include "partition/migrate/decision.h"
#include "partition/model/joined_windows.h"
#include "partition/problem/problem.h"

namespace evenkeel {
namespace {

/// What is kept of sums over windows after a window: a half-life of four, so that trust is lost and won over several.
constexpr double kKept = 0.8408964152537145;  // 2^(-1/4)

/// Tokens of the busiest layer of a forecast: many enough that rounding does not show, few enough for any sum.
constexpr double kForecastTokens = 1 << 24;

/// Windows that a plan fits at once: traffic that drifts comes back to some of it, seldom to its mean.
constexpr std::size_t kRecentWindows = 4;

using Seconds = std::chrono::duration<double>;

RoutingProfile profile_of(const ModelShape& shape, const Grid<std::uint64_t>& load_tokens) {
  return {.shape = shape, .windows = {{.load_tokens = load_tokens}}, .paths = {}};
}

/// Loads in their proportions, the busiest layer with so many tokens: windows then weigh the same.
Grid<std::uint64_t> scaled(const Grid<std::uint64_t>& load_tokens, double layer_tokens) {
  std::uint64_t busiest = 1;
  for (std::size_t layer = 0; layer < load_tokens.rows(); ++layer) {
    const auto row = load_tokens[layer];
    busiest = std::max(busiest, std::accumulate(row.begin(), row.end(), std::uint64_t{0}));
  }
  const double factor = layer_tokens / static_cast<double>(busiest);
  Grid<std::uint64_t> loads(load_tokens.rows(), load_tokens.cols());
  std::ranges::transform(load_tokens.cells(), loads.cells().begin(), [&](std::uint64_t tokens) {
    return static_cast<std::uint64_t>(std::llround(static_cast<double>(tokens) * factor));
  });
  return loads;
}

/// Experts that a token of this window chose in a layer.
double experts_per_token(const std::vector<StageLoad>& window) {
  const auto tokens = static_cast<double>(tokens_of(window));
  std::uint64_t busiest = 0;
  for (std::size_t layer = 0; layer < window.front().load_tokens.rows(); ++layer) {
    std::uint64_t sum = 0;
    for (const StageLoad& stage : window) {
      const auto row = stage.load_tokens[layer];
      sum = std::accumulate(row.begin(), row.end(), sum);
    }
    busiest = std::max(busiest, sum);
  }
  return static_cast<double>(busiest) / tokens;
}

/// Modelled time of a step of this window, stages weighed by tokens.
Seconds step_of(const std::vector<StageLoad>& window, const ModelShape& shape, const Placement& placement,
                const PolicyOptions& options) {
  Seconds total{0};
  for (const StageLoad& stage : window) {
    const double share = static_cast<double>(stage.tokens) / static_cast<double>(tokens_of(window));
    total += share * step_time(profile_of(shape, stage.load_tokens), placement, options.cluster, options.step_time, {});
  }
  return total;
}

Status check_range(const char* field, double value, bool is_valid, const char* range) {
  if (is_valid) return {};
  return invalid_input(fmt::format("{} is {}; give {}", field, value, range), {field});
}

}  // namespace

Status PolicyOptions::validate() const {
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  EVENKEEL_TRY_STATUS(check_range("window_steps", window_steps, window_steps > 0 && window_steps <= 1e15,
                                  "a number above 0, at most 1e15"));
  EVENKEEL_TRY_STATUS(check_range("interval_windows", static_cast<double>(interval_windows),
                                  interval_windows >= 1 && interval_windows <= 1'000'000, "1 to 1,000,000"));
  EVENKEEL_TRY_STATUS(check_range("moves_ratio_max", moves_ratio_max, is_share(moves_ratio_max) && moves_ratio_max > 0,
                                  "a share of all slots above 0, at most 1"));
  EVENKEEL_TRY_STATUS(check_range("gain_min_ratio", gain_min_ratio, is_share(gain_min_ratio), "0 to 1"));
  EVENKEEL_TRY_STATUS(check_range("guard_ratio", guard_ratio, is_share(guard_ratio), "0 to 1"));
  EVENKEEL_TRY_STATUS(check_range("stall_ratio", stall_ratio, is_share(stall_ratio), "0 to 1"));
  return check_range("spare", static_cast<double>(spare), spare >= 1 && spare <= kExpertsMax, "1 to 65535");
}

void Policy::prime(const std::vector<StageLoad>& loads) {
  learn(loads);
  is_primed_ = true;
}

void Policy::reconfigure(PolicyOptions options) {
  // What a token chooses was learnt from traffic.
  options.step_time.experts_per_token = options_.step_time.experts_per_token;
  options_ = std::move(options);
}

std::optional<PlanRequest> Policy::close(const std::vector<StageLoad>& window, const Placement& running,
                                         std::optional<std::string> hold) {
  record_ = {};
  record_.window = windows_++;
  if (tokens_of(window) > 0) take(window, running);
  if (!hold) hold = reason_not_to_plan();
  if (auto& reason = hold) {
    keep(std::move(*reason));
    return std::nullopt;
  }
  is_triggered_ = false;
  const auto slots = static_cast<double>(loaded_slots(forecast_, running.slots()));
  PlanRequest request{forecast_, options_.cluster, {}};
  request.options.problem.redundant = running.redundant();
  request.options.problem.replan = Replan{running, static_cast<std::size_t>(options_.moves_ratio_max * slots)};
  // Within a budget of moves windows are added up.
  if (options_.moves_ratio_max >= 1) {
    request.options.problem.replan->moves_max.reset();
    hedge(request);
  }
  return request;
}

void Policy::hedge(PlanRequest& request) const {
  if (stages_.size() != 1) return;
  RoutingProfile recent{forecast_.shape, {}, {}};
  for (const Grid<std::uint64_t>& load : stages_.begin()->second.recent)
    recent.windows.push_back({.load_tokens = scaled(load, kForecastTokens)});
  if (recent.windows.empty() || join_windows(recent).after == 1) return;
  request.profile = std::move(recent);
  request.options.problem.robust = Robust{};
}

void Policy::take(const std::vector<StageLoad>& window, const Placement& running) {
  const ModelShape shape{{running.layer_ids().begin(), running.layer_ids().end()}, running.experts(), std::nullopt};
  options_.step_time.experts_per_token = experts_per_token(window);
  Grid<std::uint64_t> all(running.layers(), running.experts());
  for (const StageLoad& stage : window) add(all, stage.load_tokens);
  record_.imbalance = imbalance_mean(all, running);
  if (!is_primed_ && record_.window < options_.warmup_windows) return;
  learn(window);
  settle_promise(window, shape);
  expect(shape, running);
}

void Policy::learn(const std::vector<StageLoad>& window) {
  const auto tokens = static_cast<double>(tokens_of(window));
  for (auto& [stage, memory] : stages_) memory.tokens *= kKept;
  for (const StageLoad& seen : window) {
    if (seen.tokens == 0) continue;
    Memory& memory = stages_[seen.stage];
    memory.forecast.take(seen.load_tokens);
    memory.tokens += static_cast<double>(seen.tokens);
    if (memory.forecast.is_sudden()) memory.recent.clear();
    memory.recent.push_back(seen.load_tokens);
    if (memory.recent.size() > kRecentWindows) memory.recent.pop_front();
    record_.drift += memory.forecast.drift() * static_cast<double>(seen.tokens) / tokens;
    record_.is_sudden = record_.is_sudden || memory.forecast.is_sudden();
  }
}

void Policy::expect(const ModelShape& shape, const Placement& running) {
  forecast_ = {.shape = shape, .windows = {}, .paths = {}};
  stage_share_.clear();
  double all_tokens = 0;
  for (const auto& [stage, memory] : stages_) all_tokens += memory.tokens;
  for (const auto& [stage, memory] : stages_) {
    stage_share_.push_back(memory.tokens / all_tokens);
    const double layer_tokens = kForecastTokens * stage_share_.back();
    forecast_.windows.push_back({.stage = stage, .load_tokens = memory.forecast.load_tokens(layer_tokens)});
  }
  step_before_ = expected_step(running);
  const Seconds most = step_before_ - expected_step_bound(running);
  record_.bound_seconds = std::max(0.0, horizon_steps() * most.count());
}

void Policy::settle_promise(const std::vector<StageLoad>& window, const ModelShape& shape) {
  // What nothing could foretell says nothing of plans.
  if (promise_ && !record_.is_sudden) {
    const Seconds saved =
        step_of(window, shape, promise_->from, options_) - step_of(window, shape, promise_->to, options_);
    promised_seconds_ = promised_seconds_ * kKept + promise_->saved_seconds;
    borne_out_seconds_ = borne_out_seconds_ * kKept + saved.count();
  }
  promise_.reset();
  if (promised_seconds_ > 0) record_.trust = std::clamp(borne_out_seconds_ / promised_seconds_, 0.0, 1.0);
}

std::optional<std::string> Policy::reason_not_to_plan() const {
  if (!record_.bound_seconds) {
    return record_.window < options_.warmup_windows
               ? fmt::format("warming up: window {} of {}", record_.window + 1, options_.warmup_windows)
               : "no traffic in this window";
  }
  if (is_triggered_) return std::nullopt;
  if (adopted_at_ && record_.window - *adopted_at_ < options_.interval_windows) {
    return fmt::format("{} of at least {} windows since the last migration", record_.window - *adopted_at_,
                       options_.interval_windows);
  }
  const double most_ratio = *record_.bound_seconds / (horizon_steps() * step_before_.count());
  if (most_ratio < options_.gain_min_ratio) {
    return fmt::format("no placement saves more than {:.2f} % of a step; at least {:.2f} % is asked for",
                       100 * most_ratio, 100 * options_.gain_min_ratio);
  }
  return std::nullopt;
}

std::optional<MigrationPlan> Policy::judge(const Placement& running, const Placement& candidate) {
  PlanOptions plan_options{.spare = options_.spare, .expert_bytes = options_.step_time.expert_bytes};
  auto plan = plan_migration(running, candidate, options_.cluster, plan_options);
  if (!plan) {
    keep("the plan does not fit: " + plan.error().message);
    return std::nullopt;
  }
  const Seconds before = step_before_;
  const Seconds promised = before - expected_step(candidate);
  if (plan->moves > 0 && promised.count() > 0) promise_ = Promise{running, candidate, promised.count()};
  const Seconds saved = record_.trust * promised;
  const Seconds lost = options_.stall_ratio * plan->time;
  record_.moves = plan->moves;
  record_.gain_seconds = horizon_steps() * saved.count();
  record_.cost_seconds = lost.count();
  const Decision decision = decide({.moves = plan->moves,
                                    .step_before = before,
                                    .step_after = before - saved,
                                    .steps = horizon_steps(),
                                    .lost = lost,
                                    .guard_ratio = options_.guard_ratio});
  record_.reason = decision.reason;
  if (!decision.is_adopt) return std::nullopt;
  if (saved.count() < options_.gain_min_ratio * before.count()) {
    keep(fmt::format("{:.2f} % of a step is saved; at least {:.2f} % is asked for", 100 * saved / before,
                     100 * options_.gain_min_ratio));
    return std::nullopt;
  }
  if (options_.is_dry_run) {
    keep("dry run: " + decision.reason);
    return std::nullopt;
  }
  record_.is_adopt = true;
  adopted_at_ = record_.window;
  return *std::move(plan);
}

Seconds Policy::expected_step(const Placement& placement) const {
  Seconds total{0};
  for (std::size_t i = 0; i < forecast_.windows.size(); ++i) {
    total += stage_share_[i] * step_time(profile_of(forecast_.shape, forecast_.windows[i].load_tokens), placement,
                                         options_.cluster, options_.step_time, {});
  }
  return total;
}

Seconds Policy::expected_step_bound(const Placement& placement) const {
  Seconds total{0};
  for (std::size_t i = 0; i < forecast_.windows.size(); ++i) {
    total += stage_share_[i] * step_time_bound(profile_of(forecast_.shape, forecast_.windows[i].load_tokens),
                                               placement.gpus(), placement.redundant(), options_.step_time);
  }
  return total;
}

}  // namespace evenkeel
