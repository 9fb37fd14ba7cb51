// From counts to a decision: closing windows, asking for plans, keeping or adopting them.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "partition/adaptive/imbalance.h"
#include "rebalancer/core/core.h"

namespace evenkeel::rebalancer {
namespace {

/// Windows that may be closed one by one; far more than are ever open.
constexpr std::uint64_t kWindowsAtOnce = 1'024;

}  // namespace

void Core::close_windows(TimePoint now) {
  if (!running_) return;
  const Progress all = registry_.progress();
  if (!all.reported_at) return;
  if (is_resuming_) resume_windows(all);
  // A worker that has taken over a rank begins with no steps.
  steps_closed_ = std::min(steps_closed_, all.steps);
  if (all.windows > windows_closed_ + kWindowsAtOnce) windows_closed_ = all.windows - kWindowsAtOnce;
  while (!planning_ && !chain_ && is_window_complete(all, now)) close_window(all, now);
}

void Core::resume_windows(const Progress& all) {
  is_resuming_ = false;
  windows_closed_ = windows_decided_ = all.windows;
  tokens_closed_ = planned_tokens_ = registry_.tokens();
}

bool Core::is_window_complete(const Progress& all, TimePoint now) const {
  if (all.has_window_tags) return all.windows > windows_closed_;
  const std::uint64_t fresh_tokens = registry_.tokens() - tokens_closed_;
  const bool is_triggered = policy_.is_triggered() && *all.reported_at > window_closed_at_;
  if (is_triggered && fresh_tokens > 0 && !reason_to_hold(all, now)) return true;
  return options_.window_steps > 0 && all.steps - steps_closed_ >= options_.window_steps &&
         fresh_tokens >= options_.tokens_min;
}

void Core::close_window(const Progress& all, TimePoint now) {
  ++counters_.windows_closed;
  window_closed_at_ = now;
  ClosedWindow closed = registry_.close(windows_closed_++);
  const std::vector<StageLoad>& window = closed.sum;
  steps_closed_ = all.steps;
  tokens_closed_ = registry_.tokens();
  window_load_ = Grid<std::uint64_t>(running_->placement.layers(), running_->placement.experts());
  for (const StageLoad& stage : window) add(window_load_, stage.load_tokens);
  auto request = policy_.close(window, running_->placement, reason_to_hold(all, now));
  if (!request) return decide(now, std::nullopt);
  planned_at_ = now;
  planned_tokens_ = registry_.tokens();
  planning_ = ++plans_;
  load_of_worker_ = std::move(closed.load_of_worker);
  note("plan_started", {{"plan", plans_}, {"window", windows_closed_ - 1}, {"tokens", tokens_of(window)}});
  actions_.push_back(StartPlanning{model_, plans_, *std::move(request)});
}

std::optional<std::string> Core::reason_to_hold(const Progress& all, TimePoint now) const {
  if (is_frozen_ || is_draining_) return "frozen by the operator";
  if (!registry_.is_complete(now, options_.lease)) return "an agent is absent";
  if (!all_applied()) return "a worker has not switched to the running epoch yet";
  if (all.has_window_tags && all.windows > windows_closed_) return "a later window is complete already";
  if (options_.migrations_max && counters_.decisions_adopt >= *options_.migrations_max) {
    return fmt::format("{} of at most {} migrations are made", counters_.decisions_adopt, *options_.migrations_max);
  }
  if (policy_.is_triggered()) return std::nullopt;
  if (planned_at_ && now - *planned_at_ < options_.interval_min) {
    return fmt::format("the last plan is less than {} ms ago", options_.interval_min.count());
  }
  const std::uint64_t fresh_tokens = registry_.tokens() - planned_tokens_;
  if (fresh_tokens < options_.tokens_min) {
    return fmt::format("{} tokens since the last plan tell too little; {} are asked for", fresh_tokens,
                       options_.tokens_min);
  }
  return std::nullopt;
}

std::optional<std::string> Core::worker_it_hangs_on(
    const Placement& candidate, const std::map<std::string, Grid<std::uint64_t>>& load_of_worker) const {
  if (load_of_worker.size() < kWorkersToCompareMin) return std::nullopt;
  const auto gain_of = [&](const Grid<std::uint64_t>& load) {
    return imbalance_mean(load, running_->placement) - imbalance_mean(load, candidate);
  };
  const double gain = gain_of(window_load_);
  if (gain <= 0) return std::nullopt;
  for (const auto& [worker, load] : load_of_worker) {
    Grid<std::uint64_t> others = window_load_;
    subtract(others, load);
    if (2 * gain_of(others) < gain) return worker;
  }
  return std::nullopt;
}

void Core::handle(const PlanReady& plan, TimePoint now) {
  if (planning_ != plan.plan) {
    ++counters_.messages_late;
    return;
  }
  planning_.reset();
  const auto load_of_worker = std::exchange(load_of_worker_, {});
  const auto keep = [&](std::string reason) {
    policy_.keep(std::move(reason));
    decide(now, plan.solve_seconds);
  };
  if (!plan.placement) {
    ++counters_.plans_failed;
    return keep("the solver failed: " + plan.placement.error().message);
  }
  if (plan.placement->fields().shares) return keep("the plan splits an expert's tokens unevenly");
  if (is_frozen_ || is_draining_) return keep("frozen while it was planned");
  if (!registry_.is_complete(now, options_.lease)) return keep("an agent is absent");
  if (const auto worker = worker_it_hangs_on(*plan.placement, load_of_worker)) {
    return keep(fmt::format("most of what it gains in this window is by the counts of {} alone", *worker));
  }
  auto migration = policy_.judge(running_->placement, *plan.placement);
  if (migration) {
    auto placements = epoch_placements(*migration, running_->placement, *plan.placement);
    chain_ = Chain{*std::move(migration), std::move(placements), 0, now};
  }
  decide(now, plan.solve_seconds);
  if (chain_) prepare_next(now);
}

void Core::decide(TimePoint now, std::optional<double> solve_seconds) {
  decided_ = policy_.record();
  decided_->window = windows_closed_ - 1;
  const DecisionRecord& d = *decided_;
  ++(d.is_adopt ? counters_.decisions_adopt : counters_.decisions_keep);
  wire::Note::Fields fields{{"verdict", d.is_adopt ? "adopt" : "keep"},
                            {"reason", d.reason},
                            {"window", d.window},
                            {"imbalance", d.imbalance},
                            {"drift", d.drift}};
  if (d.is_sudden) fields.emplace_back("sudden", "yes");
  if (d.gain_seconds) fields.emplace_back("gain_seconds", *d.gain_seconds);
  if (d.cost_seconds) fields.emplace_back("cost_seconds", *d.cost_seconds);
  if (d.bound_seconds) fields.emplace_back("bound_seconds", *d.bound_seconds);
  if (solve_seconds) {
    fields.emplace_back("trust", d.trust);
    fields.emplace_back("slots_moved", std::uint64_t{d.moves});
    fields.emplace_back("solve_seconds", *solve_seconds);
  }
  if (d.is_adopt) fields.emplace_back("epochs", std::uint64_t{chain_->placements.size()});
  fields.emplace_back("lag_ms", std::chrono::duration<double, std::milli>(now - window_closed_at_).count());
  note("plan_decided", std::move(fields));
  actions_.push_back(WriteDecision{{model_, term_, d}});
  if (!d.is_adopt) finish_windows();
}

void Core::finish_windows() {
  windows_decided_ = windows_closed_;
  if (!registry_.progress().has_window_tags) return;
  // Workers may be waiting for this: it must not wait for their next report.
  for (const auto& [worker, agent] : registry_.agents()) {
    if (agent.report_sequence == 0) continue;
    acknowledge(agent, agent.report_sequence);
  }
}

void Core::acknowledge(const Agent& agent, std::uint64_t sequence) {
  const std::uint64_t decided = windows_decided_ - std::min(windows_decided_, agent.windows_before);
  send(agent, wire::ReportAck{{term_, running_->epoch}, agent.incarnation, sequence, decided});
}

}  // namespace evenkeel::rebalancer
