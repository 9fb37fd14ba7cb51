#include "rebalancer/core/windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "partition/adaptive/imbalance.h"
#include "rebalancer/core/window_counts.h"

namespace evenkeel::rebalancer {
namespace {

/// Windows that may be closed one by one; far more than are ever open.
constexpr std::uint64_t kWindowsAtOnce = 1'024;

Grid<std::uint64_t> sum_of_stages(const std::vector<StageLoad>& window, const Placement& placement) {
  Grid<std::uint64_t> sum(placement.layers(), placement.experts());
  for (const StageLoad& stage : window) add(sum, stage.load_tokens);
  return sum;
}

/// The worker without whose counts the window would gain less than half as much by `candidate`.
std::optional<std::string> worker_it_hangs_on(const Grid<std::uint64_t>& window,
                                              const std::map<std::string, Grid<std::uint64_t>>& load_of_worker,
                                              const Placement& running, const Placement& candidate) {
  if (load_of_worker.size() < kWorkersToCompareMin) return std::nullopt;
  const auto gain_of = [&](const Grid<std::uint64_t>& load) {
    return imbalance_mean(load, running) - imbalance_mean(load, candidate);
  };
  const double gain = gain_of(window);
  if (gain <= 0) return std::nullopt;
  for (const auto& [worker, load] : load_of_worker) {
    Grid<std::uint64_t> others = window;
    subtract(others, load);
    if (2 * gain_of(others) < gain) return worker;
  }
  return std::nullopt;
}

wire::Note::Fields fields_of(const DecisionRecord& d, std::optional<double> solve_seconds) {
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
  return fields;
}

}  // namespace

void Windows::close_complete(const Surroundings& around, Outbox& out) {
  const Progress all = around.registry.progress();
  if (!all.reported_at) return;
  if (is_resuming_) resume(all, around.registry);
  // A worker that has taken over a rank begins with no steps.
  closed_.steps = std::min(closed_.steps, all.steps);
  if (all.windows > closed_.windows + kWindowsAtOnce) closed_.windows = all.windows - kWindowsAtOnce;
  while (!planning_ && !is_migrating_ && is_complete(all, around)) close(all, around, out);
}

void Windows::resume(const Progress& all, const AgentRegistry& registry) {
  is_resuming_ = false;
  closed_.windows = decided_windows_ = all.windows;
  closed_.tokens = asked_.tokens = registry.tokens();
}

bool Windows::is_complete(const Progress& all, const Surroundings& around) const {
  if (all.has_window_tags) return all.windows > closed_.windows;
  const std::uint64_t fresh_tokens = around.registry.tokens() - closed_.tokens;
  const bool is_triggered = policy_.is_triggered() && *all.reported_at > closed_.at;
  if (is_triggered && fresh_tokens > 0 && !reason_to_hold(all, around)) return true;
  return options_.window_steps > 0 && all.steps - closed_.steps >= options_.window_steps &&
         fresh_tokens >= options_.tokens_min;
}

void Windows::close(const Progress& all, const Surroundings& around, Outbox& out) {
  ++counters_.windows_closed;
  ClosedWindow window = around.registry.close(closed_.windows);
  closed_ = {closed_.windows + 1, all.steps, around.registry.tokens(), around.now};
  auto request = policy_.close(window.sum, around.running.placement, reason_to_hold(all, around));
  if (!request) return decide(around, std::nullopt, 0, out);
  asked_ = {asked_.plans + 1, closed_.tokens, around.now};
  planning_ =
      Planning{asked_.plans, sum_of_stages(window.sum, around.running.placement), std::move(window.load_of_worker)};
  out.note("plan_started",
           {{"plan", asked_.plans}, {"window", closed_.windows - 1}, {"tokens", tokens_of(window.sum)}});
  out.start_planning(asked_.plans, *std::move(request));
}

std::optional<std::string> Windows::reason_to_hold(const Progress& all, const Surroundings& around) const {
  if (around.is_held) return "frozen by the operator";
  if (!around.registry.is_complete(around.now)) return "an agent is absent";
  if (!around.registry.has_all_on(around.running.epoch)) return "a worker has not switched to the running epoch yet";
  if (all.has_window_tags && all.windows > closed_.windows) return "a later window is complete already";
  if (options_.migrations_max && counters_.decisions_adopt >= *options_.migrations_max) {
    return fmt::format("{} of at most {} migrations are made", counters_.decisions_adopt, *options_.migrations_max);
  }
  if (policy_.is_triggered()) return std::nullopt;
  if (asked_.at && around.now - *asked_.at < options_.interval_min) {
    return fmt::format("the last plan is less than {} ms ago", options_.interval_min.count());
  }
  const std::uint64_t fresh_tokens = around.registry.tokens() - asked_.tokens;
  if (fresh_tokens < options_.tokens_min) {
    return fmt::format("{} tokens since the last plan tell too little; {} are asked for", fresh_tokens,
                       options_.tokens_min);
  }
  return std::nullopt;
}

std::optional<std::string> Windows::reason_to_reject(const PlanReady& plan, const Planning& asked,
                                                     const Surroundings& around) {
  if (!plan.placement) return "the solver failed: " + plan.placement.error().message;
  if (plan.placement->fields().shares) return "the plan splits an expert's tokens unevenly";
  if (around.is_held) return "frozen while it was planned";
  if (!around.registry.is_complete(around.now)) return "an agent is absent";
  const auto worker =
      worker_it_hangs_on(asked.load_tokens, asked.load_of_worker, around.running.placement, *plan.placement);
  if (!worker) return std::nullopt;
  return fmt::format("most of what it gains in this window is by the counts of {} alone", *worker);
}

std::optional<AdoptedPlan> Windows::judge(const PlanReady& plan, const Surroundings& around, Outbox& out) {
  Planning asked = *std::exchange(planning_, std::nullopt);
  if (!plan.placement) ++counters_.plans_failed;
  std::optional<AdoptedPlan> adopted;
  if (auto reason = reason_to_reject(plan, asked, around)) {
    policy_.keep(*std::move(reason));
  } else if (auto migration = policy_.judge(around.running.placement, *plan.placement)) {
    auto placements = epoch_placements(*migration, around.running.placement, *plan.placement);
    adopted = AdoptedPlan{*std::move(migration), std::move(placements), std::move(asked.load_tokens), closed_.at};
    is_migrating_ = true;
  }
  decide(around, plan.solve_seconds, adopted ? adopted->placements.size() : 0, out);
  return adopted;
}

void Windows::decide(const Surroundings& around, std::optional<double> solve_seconds, std::size_t epochs, Outbox& out) {
  decided_ = policy_.record();
  decided_->window = closed_.windows - 1;
  ++(decided_->is_adopt ? counters_.decisions_adopt : counters_.decisions_keep);
  wire::Note::Fields fields = fields_of(*decided_, solve_seconds);
  if (decided_->is_adopt) fields.emplace_back("epochs", std::uint64_t{epochs});
  fields.emplace_back("lag_ms", std::chrono::duration<double, std::milli>(around.now - closed_.at).count());
  out.note("plan_decided", std::move(fields));
  out.write_decision(around.term, *decided_);
  if (!decided_->is_adopt) finish(around.registry, {around.term, around.running.epoch}, out);
}

void Windows::finish(const AgentRegistry& registry, wire::Stamp running, Outbox& out) {
  is_migrating_ = false;
  decided_windows_ = closed_.windows;
  if (!registry.progress().has_window_tags) return;
  // Workers may be waiting for this: it must not wait for their next report.
  for (const auto& [worker, agent] : registry.agents()) {
    if (agent.report_sequence > 0) acknowledge(agent, agent.report_sequence, running, out);
  }
}

void Windows::acknowledge(const Agent& agent, std::uint64_t sequence, wire::Stamp running, Outbox& out) const {
  const std::uint64_t decided = decided_windows_ - std::min(decided_windows_, agent.windows_before);
  out.send(agent, wire::ReportAck{running, agent.incarnation, sequence, decided});
}

void Windows::reconfigure(const WindowOptions& options) {
  options_ = options;
  policy_.reconfigure(options_.policy);
}

}  // namespace evenkeel::rebalancer
