// From counts to a committed epoch: deciding, preparing, committing, giving up, repeating.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "rebalancer/core/core.h"
#include "rebalancer/core/load_comparison.h"

namespace evenkeel::rebalancer {
bool Core::all_applied() const {
  const auto& agents = registry_.agents();
  return std::all_of(agents.begin(), agents.end(),
                     [&](const auto& entry) { return entry.second.epoch_applied == running_->epoch; });
}

bool Core::may_plan(TimePoint now) const {
  if (!running_ || planning_ || preparing_) return false;
  if (options_.migrations_max && counters_.epochs_committed >= *options_.migrations_max) return false;
  if (decided_at_ && now - *decided_at_ < options_.interval_min) return false;
  return registry_.tokens() - planned_tokens_ >= options_.tokens_min && registry_.is_complete(now, options_.lease) &&
         all_applied();
}

void Core::start_planning(TimePoint now) {
  Grid<std::uint64_t> fresh = registry_.load_tokens();
  if (!planned_load_.empty()) {
    for (std::size_t cell = 0; cell < fresh.cells().size(); ++cell) fresh.cells()[cell] -= planned_load_.cells()[cell];
  }
  planned_load_ = registry_.load_tokens();
  const std::uint64_t tokens = registry_.tokens() - std::exchange(planned_tokens_, registry_.tokens());
  decided_at_ = now;
  planning_ = ++plans_;
  plan_profile_ = {};
  const auto ids = running_->placement.layer_ids();
  plan_profile_.shape = {
      .layer_ids = {ids.begin(), ids.end()}, .experts = running_->placement.experts(), .hidden_layers = std::nullopt};
  plan_profile_.windows.push_back({.load_tokens = std::move(fresh)});
  note("plan_started", {{"plan", plans_}, {"tokens", tokens}});
  actions_.push_back(StartPlanning{plans_, plan_profile_});
}

void Core::handle(const PlanReady& plan, TimePoint now) {
  if (planning_ != plan.plan) {
    ++counters_.messages_late;
    return;
  }
  planning_.reset();
  if (!plan.placement) return keep("the solver failed: " + plan.placement.error().message, {});
  if (plan.placement->fields().shares) return keep("the plan splits an expert's tokens unevenly", {});
  const auto compared = compare_loads(plan_profile_.windows.front().load_tokens, running_->placement, *plan.placement);
  if (!compared) return keep("the plan does not fit: " + compared.error().message, {});
  wire::Note::Fields fields{{"imbalance_before", compared->imbalance_before},
                            {"imbalance_after", compared->imbalance_after},
                            {"slots_moved", compared->slots_moved},
                            {"solve_seconds", plan.solve_seconds}};
  if (compared->slots_moved == 0) return keep("the running placement is the plan", std::move(fields));
  if (compared->gain_ratio() <= options_.gain_min_ratio) {
    return keep(fmt::format("the gain of {:.4f} is not above {:.4f}", compared->gain_ratio(), options_.gain_min_ratio),
                std::move(fields));
  }
  if (!registry_.is_complete(now, options_.lease)) return keep("an agent is absent", std::move(fields));
  fields.insert(
      fields.begin(),
      {{"verdict", "adopt"},
       {"reason", fmt::format("the gain of {:.4f} is above {:.4f}", compared->gain_ratio(), options_.gain_min_ratio)}});
  note("plan_decided", std::move(fields));
  prepare(*plan.placement, now);
}

void Core::keep(std::string reason, wire::Note::Fields fields) {
  ++counters_.decisions_keep;
  fields.insert(fields.begin(), {{"verdict", "keep"}, {"reason", std::move(reason)}});
  note("plan_decided", std::move(fields));
}

void Core::prepare(Placement placement, TimePoint now) {
  ++counters_.epochs_prepared;
  const wire::Stamp stamp{term_, next_epoch_++};
  preparing_ = Preparing{stamp, std::move(placement), now + options_.prepare_timeout};
  actions_.push_back(Write{{{RecordKind::kPrepare, stamp, preparing_->placement, ""}}});
  note("epoch_prepared", {{"term", stamp.term},
                          {"epoch", stamp.epoch},
                          {"digest", wire::digest_text(wire::digest(preparing_->placement))}});
  actions_.push_back(Broadcast{model_, prepare_message(now)});
  for (auto& [worker, agent] : registry_.agents()) {
    agent.ready = false;
    expect_answer(agent, now);
  }
}

wire::Prepare Core::prepare_message(TimePoint now) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(preparing_->deadline - now);
  return {.stamp = preparing_->stamp,
          .base_epoch = running_->epoch,
          .deadline_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0)),
          .placement = preparing_->placement};
}

void Core::commit_if_all_ready(TimePoint now) {
  auto& agents = registry_.agents();
  const bool ready = agents.size() == registry_.world() &&
                     std::all_of(agents.begin(), agents.end(), [](const auto& entry) { return entry.second.ready; });
  if (!ready) return;
  ++counters_.epochs_committed;
  const wire::Stamp stamp = preparing_->stamp;
  actions_.push_back(Write{{{RecordKind::kCommit, stamp, std::nullopt, ""}}});
  running_ = Committed{stamp.epoch, std::move(preparing_->placement)};
  running_digest_ = wire::digest(running_->placement);
  preparing_.reset();
  note("epoch_committed",
       {{"term", stamp.term}, {"epoch", stamp.epoch}, {"digest", wire::digest_text(running_digest_)}});
  const wire::Commit commit{stamp, running_digest_};
  for (auto& [worker, agent] : agents) {
    expect_answer(agent, now);
    send(agent, commit);
  }
  actions_.push_back(Broadcast{model_, commit});
}

void Core::abort(std::string reason) {
  ++counters_.epochs_aborted;
  const wire::Abort message{preparing_->stamp, reason};
  actions_.push_back(Write{{{RecordKind::kAbort, preparing_->stamp, std::nullopt, reason}}});
  note("epoch_aborted",
       {{"term", preparing_->stamp.term}, {"epoch", preparing_->stamp.epoch}, {"reason", std::move(reason)}});
  preparing_.reset();
  for (const auto& [worker, agent] : registry_.agents()) send(agent, message);
  actions_.push_back(Broadcast{model_, message});
}

void Core::expect_answer(Agent& agent, TimePoint now) {
  agent.resend_at = now + options_.resend_interval;
  agent.resend_wait = options_.resend_interval * 2;
}

void Core::resend(TimePoint now) {
  if (!running_) return;
  for (auto& [worker, agent] : registry_.agents()) {
    if (now < agent.resend_at || now - agent.heard_at > options_.lease) continue;
    agent.resend_at = now + agent.resend_wait;
    agent.resend_wait = std::min(agent.resend_wait * 2, options_.resend_interval_max);
    if (agent.epoch_applied != running_->epoch) {
      ++counters_.messages_resent;
      send(agent, wire::Commit{{term_, running_->epoch}, running_digest_});
    } else if (preparing_ && !agent.ready) {
      ++counters_.messages_resent;
      send(agent, prepare_message(now));
    }
  }
}

}  // namespace evenkeel::rebalancer
