// From a decision to committed epochs, one after the other: preparing, committing, retiring, giving up, repeating.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "partition/adaptive/imbalance.h"
#include "rebalancer/core/core.h"

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

}  // namespace

bool Core::all_applied() const {
  const auto& agents = registry_.agents();
  return std::all_of(agents.begin(), agents.end(),
                     [&](const auto& entry) { return entry.second.epoch_applied == running_->epoch; });
}

std::string Core::names_without(bool (*holds)(const Agent&)) const {
  // So many fit the text of an ABORT.
  constexpr std::size_t kNamesMax = 3;
  std::vector<std::string> names;
  for (const auto& [worker, agent] : registry_.agents()) {
    if (!holds(agent)) names.push_back(worker);
  }
  const std::size_t more = names.size() - std::min(names.size(), kNamesMax);
  names.resize(names.size() - more);
  return fmt::format("{}{}", fmt::join(names, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

void Core::prepare_next(TimePoint now) {
  if (!registry_.is_complete(now, options_.lease)) return drop_chain("an agent is absent");
  ++counters_.epochs_prepared;
  const wire::Stamp stamp{term_, next_epoch_++};
  const Transfers& transfers = chain_->plan.epochs[chain_->next].transfers;
  preparing_ =
      Preparing{stamp, chain_->placements[chain_->next], wire_copies(transfers), now + options_.prepare_timeout};
  actions_.push_back(Write{{{RecordKind::kPrepare, model_, stamp, preparing_->placement, ""}}});
  note("epoch_prepared", {{"term", stamp.term},
                          {"epoch", stamp.epoch},
                          {"digest", wire::digest_text(wire::digest(preparing_->placement))},
                          {"copies", std::uint64_t{preparing_->copies.size()}},
                          {"chain_left", std::uint64_t{chain_->placements.size() - chain_->next - 1}}});
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
          .placement = preparing_->placement,
          .copies = preparing_->copies,
          .chain_left = static_cast<std::uint32_t>(chain_->placements.size() - chain_->next - 1)};
}

void Core::commit_if_all_ready(TimePoint now) {
  auto& agents = registry_.agents();
  const bool ready = agents.size() == registry_.world() &&
                     std::all_of(agents.begin(), agents.end(), [](const auto& entry) { return entry.second.ready; });
  if (!ready) return;
  ++counters_.epochs_committed;
  const wire::Stamp stamp = preparing_->stamp;
  actions_.push_back(Write{{{RecordKind::kCommit, model_, stamp, std::nullopt, ""}}});
  const double imbalance_before = imbalance_mean(window_load_, running_->placement);
  running_ = Committed{stamp.epoch, std::move(preparing_->placement)};
  running_digest_ = wire::digest(running_->placement);
  const std::uint64_t copies = preparing_->copies.size();
  preparing_.reset();
  ++chain_->next;
  chain_->deadline = now + options_.prepare_timeout;
  note("epoch_committed", {{"term", stamp.term},
                           {"epoch", stamp.epoch},
                           {"digest", wire::digest_text(running_digest_)},
                           {"imbalance_before", imbalance_before},
                           {"imbalance_after", imbalance_mean(window_load_, running_->placement)},
                           {"copies", copies},
                           {"chain_left", std::uint64_t{chain_->placements.size() - chain_->next}}});
  const wire::Commit commit{stamp, running_digest_};
  for (auto& [worker, agent] : agents) {
    expect_answer(agent, now);
    send(agent, commit);
  }
  actions_.push_back(Broadcast{model_, commit});
  if (chain_->next < chain_->placements.size()) return;
  note("migration_finished", {{"epoch", stamp.epoch},
                              {"slots_moved", std::uint64_t{chain_->plan.moves}},
                              {"lag_ms", std::chrono::duration<double, std::milli>(now - window_closed_at_).count()}});
  chain_.reset();
  finish_windows();
}

void Core::retire_if_all_applied(TimePoint now) {
  if (preparing_ || !all_applied() || registry_.agents().size() != registry_.world()) return;
  if (retired_epoch_ != running_->epoch) {
    retired_epoch_ = running_->epoch;
    ++counters_.epochs_retired;
    const wire::Retire retire{{term_, running_->epoch}};
    note("epoch_retired", {{"term", term_}, {"epoch", running_->epoch}});
    for (const auto& [worker, agent] : registry_.agents()) send(agent, retire);
    actions_.push_back(Broadcast{model_, retire});
  }
  if (chain_) prepare_next(now);
}

void Core::go_on_with_chain(TimePoint now) {
  if (now >= chain_->deadline) drop_chain("a worker has not switched in time");
}

void Core::drop_chain(const std::string& reason) {
  ++counters_.chains_dropped;
  note("migration_dropped", {{"reason", reason},
                             {"epochs_done", std::uint64_t{chain_->next}},
                             {"epochs", std::uint64_t{chain_->placements.size()}}});
  chain_.reset();
  finish_windows();
}

void Core::abort(std::string reason) {
  ++counters_.epochs_aborted;
  const wire::Abort message{preparing_->stamp, reason};
  actions_.push_back(Write{{{RecordKind::kAbort, model_, preparing_->stamp, std::nullopt, reason}}});
  note("epoch_aborted", {{"term", preparing_->stamp.term}, {"epoch", preparing_->stamp.epoch}, {"reason", reason}});
  preparing_.reset();
  for (const auto& [worker, agent] : registry_.agents()) send(agent, message);
  actions_.push_back(Broadcast{model_, message});
  drop_chain(reason);
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
