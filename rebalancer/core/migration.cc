#include "rebalancer/core/migration.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "partition/adaptive/imbalance.h"

namespace evenkeel::rebalancer {
namespace {

std::vector<wire::Copy> wire_copies(const Transfers& transfers) {
  std::vector<wire::Copy> copies;
  for (const ScheduledCopy& scheduled : transfers.copies) {
    const ExpertCopy& copy = scheduled.copy;
    copies.push_back({static_cast<std::uint32_t>(copy.layer.index()), static_cast<std::uint32_t>(copy.expert.index()),
                      static_cast<std::uint32_t>(copy.from.index()), static_cast<std::uint32_t>(copy.to.index())});
  }
  return copies;
}

/// The agents that are not ready, in words.
std::string names_of_unready(const AgentRegistry& registry) {
  // So many fit the text of an ABORT.
  constexpr std::size_t kNamesMax = 3;
  std::vector<std::string> names;
  for (const auto& [worker, agent] : registry.agents()) {
    if (!agent.ready) names.push_back(worker);
  }
  const std::size_t more = names.size() - std::min(names.size(), kNamesMax);
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

bool are_all_ready(const AgentRegistry& registry) {
  const auto& agents = registry.agents();
  return agents.size() == registry.world() &&
         std::ranges::all_of(agents, [](const auto& entry) { return entry.second.ready; });
}

}  // namespace

Migration::Migration(const MigrationOptions& options, std::uint64_t term, GroupRecovery recovery)
    : options_(options), term_(term), next_epoch_(recovery.next_epoch) {
  if (recovery.running) run(*std::move(recovery.running));
}

void Migration::run(Committed committed) {
  running_ = std::move(committed);
  running_digest_ = wire::digest(running_->placement);
}

void Migration::commit_first(Placement placement, std::string origin, Outbox& out) {
  const wire::Stamp stamp{term_, next_epoch_++};
  out.write({{RecordKind::kPrepare, "", stamp, placement, ""}, {RecordKind::kCommit, "", stamp, {}, ""}});
  run({stamp.epoch, std::move(placement)});
  out.note("epoch_committed", {{"term", stamp.term},
                               {"epoch", stamp.epoch},
                               {"digest", wire::digest_text(running_digest_)},
                               {"placement", std::move(origin)}});
}

void Migration::welcome(Agent& agent, TimePoint now, Outbox& out) {
  out.send(agent, wire::Snapshot{stamp(), running_->placement});
  if (agent.is_observer) return;
  if (retired_epoch_ == running_->epoch) out.send(agent, wire::Retire{stamp()});
  if (preparing_ && !agent.ready) out.send(agent, prepare_message(now));
  expect_answer(agent, now);
}

Migration::Outcome Migration::begin(AdoptedPlan plan, AgentRegistry& registry, TimePoint now, Outbox& out) {
  chain_ = Chain{std::move(plan), 0, now};
  return prepare_next(registry, now, out);
}

Migration::Outcome Migration::prepare_next(AgentRegistry& registry, TimePoint now, Outbox& out) {
  if (!registry.is_complete(now)) return drop_chain("an agent is absent", out);
  ++counters_.epochs_prepared;
  const wire::Stamp stamp{term_, next_epoch_++};
  const Transfers& transfers = chain_->plan.migration.epochs[chain_->next].transfers;
  preparing_ =
      Preparing{stamp, chain_->plan.placements[chain_->next], wire_copies(transfers), now + options_.prepare_timeout};
  out.write({{RecordKind::kPrepare, "", stamp, preparing_->placement, ""}});
  out.note("epoch_prepared", {{"term", stamp.term},
                              {"epoch", stamp.epoch},
                              {"digest", wire::digest_text(wire::digest(preparing_->placement))},
                              {"copies", std::uint64_t{preparing_->copies.size()}},
                              {"chain_left", std::uint64_t{chain_->epochs() - chain_->next - 1}}});
  out.broadcast(prepare_message(now));
  for (auto& [worker, agent] : registry.agents()) {
    agent.ready = false;
    expect_answer(agent, now);
  }
  return Outcome::kGoesOn;
}

wire::Prepare Migration::prepare_message(TimePoint now) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(preparing_->deadline - now);
  return {.stamp = preparing_->stamp,
          .base_epoch = running_->epoch,
          .deadline_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0)),
          .placement = preparing_->placement,
          .copies = preparing_->copies,
          .chain_left = static_cast<std::uint32_t>(chain_->epochs() - chain_->next - 1)};
}

Migration::Outcome Migration::ready(Agent& agent, const wire::Ready& ready, AgentRegistry& registry, TimePoint now,
                                    Outbox& out) {
  if (!preparing_ || preparing_->stamp != ready.stamp) return Outcome::kLate;
  agent.ready = true;
  return are_all_ready(registry) ? commit(registry, now, out) : Outcome::kGoesOn;
}

Migration::Outcome Migration::commit(AgentRegistry& registry, TimePoint now, Outbox& out) {
  ++counters_.epochs_committed;
  Preparing prepared = *std::exchange(preparing_, std::nullopt);
  out.write({{RecordKind::kCommit, "", prepared.stamp, std::nullopt, ""}});
  const double imbalance_before = imbalance_mean(chain_->plan.load_tokens, running_->placement);
  run({prepared.stamp.epoch, std::move(prepared.placement)});
  ++chain_->next;
  chain_->deadline = now + options_.prepare_timeout;
  tell_commit(prepared.stamp, prepared.copies.size(), imbalance_before, out);
  const wire::Commit commit{prepared.stamp, running_digest_};
  for (auto& [worker, agent] : registry.agents()) {
    expect_answer(agent, now);
    out.send(agent, commit);
  }
  out.broadcast(commit);
  if (chain_->next < chain_->epochs()) return Outcome::kGoesOn;
  const std::chrono::duration<double, std::milli> lag = now - chain_->plan.window_closed_at;
  out.note("migration_finished", {{"epoch", prepared.stamp.epoch},
                                  {"slots_moved", std::uint64_t{chain_->plan.migration.moves}},
                                  {"lag_ms", lag.count()}});
  chain_.reset();
  return Outcome::kEnded;
}

void Migration::tell_commit(wire::Stamp stamp, std::size_t copies, double imbalance_before, Outbox& out) const {
  out.note("epoch_committed", {{"term", stamp.term},
                               {"epoch", stamp.epoch},
                               {"digest", wire::digest_text(running_digest_)},
                               {"imbalance_before", imbalance_before},
                               {"imbalance_after", imbalance_mean(chain_->plan.load_tokens, running_->placement)},
                               {"copies", std::uint64_t{copies}},
                               {"chain_left", std::uint64_t{chain_->epochs() - chain_->next}}});
}

Migration::Outcome Migration::applied(Agent& agent, const wire::Applied& applied, AgentRegistry& registry,
                                      TimePoint now, Outbox& out) {
  if (!running_ || applied.stamp.epoch != running_->epoch || applied.digest != running_digest_) return Outcome::kLate;
  if (std::exchange(agent.epoch_applied, applied.stamp.epoch) == applied.stamp.epoch) return Outcome::kGoesOn;
  if (preparing_ || !registry.has_all_on(running_->epoch) || registry.agents().size() != registry.world()) {
    return Outcome::kGoesOn;
  }
  if (retired_epoch_ != running_->epoch) retire(registry, out);
  return chain_ ? prepare_next(registry, now, out) : Outcome::kGoesOn;
}

void Migration::retire(const AgentRegistry& registry, Outbox& out) {
  retired_epoch_ = running_->epoch;
  ++counters_.epochs_retired;
  const wire::Retire retire{stamp()};
  out.note("epoch_retired", {{"term", term_}, {"epoch", running_->epoch}});
  for (const auto& [worker, agent] : registry.agents()) out.send(agent, retire);
  out.broadcast(retire);
}

Migration::Outcome Migration::refused(const std::string& worker, const wire::Refusal& refusal,
                                      const AgentRegistry& registry, Outbox& out) {
  if (!preparing_ || refusal.about_epoch != preparing_->stamp.epoch) return Outcome::kLate;
  return abort(fmt::format("{} refused it: {}", worker, wire::reason_name(refusal.reason)), registry, out);
}

Migration::Outcome Migration::expire(const AgentRegistry& registry, TimePoint now, Outbox& out) {
  if (preparing_) {
    if (now < preparing_->deadline) return Outcome::kGoesOn;
    return abort("the deadline has passed without " + names_of_unready(registry), registry, out);
  }
  if (!chain_ || now < chain_->deadline) return Outcome::kGoesOn;
  return drop_chain("a worker has not switched in time", out);
}

Migration::Outcome Migration::give_up(const std::string& reason, const AgentRegistry& registry, Outbox& out) {
  if (preparing_) return abort(reason, registry, out);
  return chain_ ? drop_chain(reason, out) : Outcome::kGoesOn;
}

Migration::Outcome Migration::drop_chain(const std::string& reason, Outbox& out) {
  ++counters_.chains_dropped;
  out.note(
      "migration_dropped",
      {{"reason", reason}, {"epochs_done", std::uint64_t{chain_->next}}, {"epochs", std::uint64_t{chain_->epochs()}}});
  chain_.reset();
  return Outcome::kEnded;
}

Migration::Outcome Migration::abort(const std::string& reason, const AgentRegistry& registry, Outbox& out) {
  ++counters_.epochs_aborted;
  const wire::Stamp stamp = std::exchange(preparing_, std::nullopt)->stamp;
  const wire::Abort message{stamp, reason};
  out.write({{RecordKind::kAbort, "", stamp, std::nullopt, reason}});
  out.note("epoch_aborted", {{"term", stamp.term}, {"epoch", stamp.epoch}, {"reason", reason}});
  for (const auto& [worker, agent] : registry.agents()) out.send(agent, message);
  out.broadcast(message);
  return drop_chain(reason, out);
}

void Migration::expect_answer(Agent& agent, TimePoint now) const {
  agent.resend_at = now + options_.resend_interval;
  agent.resend_wait = options_.resend_interval * 2;
}

void Migration::resend(AgentRegistry& registry, TimePoint now, Outbox& out) {
  if (!running_) return;
  for (auto& [worker, agent] : registry.agents()) {
    if (now < agent.resend_at || !registry.is_present(agent, now)) continue;
    agent.resend_at = now + agent.resend_wait;
    agent.resend_wait = std::min(agent.resend_wait * 2, options_.resend_interval_max);
    if (agent.epoch_applied != running_->epoch) {
      ++counters_.messages_resent;
      out.send(agent, wire::Commit{stamp(), running_digest_});
    } else if (preparing_ && !agent.ready) {
      ++counters_.messages_resent;
      out.send(agent, prepare_message(now));
    }
  }
}

bool Migration::is_settled(const AgentRegistry& registry, TimePoint now) const {
  if (preparing_) return false;
  if (!running_) return true;
  return std::ranges::all_of(registry.agents(), [&](const auto& entry) {
    return entry.second.epoch_applied == running_->epoch || !registry.is_present(entry.second, now);
  });
}

}  // namespace evenkeel::rebalancer
