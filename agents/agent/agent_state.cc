#include "agents/agent/agent_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace evenkeel::agent {
namespace {

/// Of reports that are not answered one may be lost, and the next be late.
constexpr int kReportsOfSilence = 3;
constexpr const char* kFencedRemedy =
    "a newer life of this worker is known: where another host has a worker of this name, give one of them another "
    "(--name, or worker of ek_probe_options); where this host's clock was set back since its last life, set it right "
    "and start the worker again";

}  // namespace

AgentState::AgentState(AgentOptions options, TimePoint now)
    : options_(std::move(options)),
      term_seen_(options_.term_seen),
      hello_wait_(options_.hello_interval),
      next_hello_(now),
      next_report_(now),
      last_contact_(now),
      reports_(options_.reports) {}

Actions AgentState::take_actions() { return std::exchange(actions_, {}); }

Actions AgentState::on_message(const wire::Message& message, TimePoint now) {
  if (!fenced_) std::visit([&](const auto& m) { handle(m, now); }, message);
  return take_actions();
}

void AgentState::on_dropped() {
  if (contact_) ++drops_unanswered_;
}

Actions AgentState::on_gap(TimePoint now) {
  ask(now);
  return take_actions();
}

Actions AgentState::cannot_load(const wire::Stamp& stamp, std::string detail) {
  refuse(wire::RefusalReason::kShapeMismatch, "prepare", stamp, std::move(detail));
  if (prepared_ && prepared_->stamp == stamp) prepared_.reset();
  return take_actions();
}

Actions AgentState::tick(TimePoint now, const WorkerView& worker) {
  if (fenced_) return {};
  look_at(worker);
  if (!asking_ &&
      now - last_contact_ > std::max(options_.contact_timeout, kReportsOfSilence * options_.report_interval)) {
    ++counters_.contacts_lost;
    actions_.push_back(wire::Note{"contact_lost", {}});
    ask(now);
  }
  if (asking_ && now >= next_hello_) send_hello(now);
  return take_actions();
}

void AgentState::look_at(const WorkerView& worker) {
  const auto& now_running = worker.epochs.running;
  if (now_running && now_running != running_) {
    running_ = now_running;
    ++counters_.epochs_applied;
    const wire::Stamp stamp{committed_ ? committed_->stamp.term : term_seen_, running_->epoch};
    note("epoch_applied", stamp, running_->digest);
    std::get<wire::Note>(actions_.back()).fields.emplace_back("step", running_->step);
    // Who has not heard a HELLO yet would refuse it; the snapshot that answers is answered with it.
    if (!asking_) send_applied();
  }
  if (prepared_ && !prepared_is_loaded_ && worker.epochs.ready == prepared_->stamp.epoch) {
    prepared_is_loaded_ = true;
    note("epoch_ready", prepared_->stamp, prepared_->digest);
    actions_.push_back(Send{wire::Ready{prepared_->stamp, options_.incarnation}});
  }
}

void AgentState::set_intervals(std::chrono::milliseconds report_interval, std::chrono::milliseconds contact_timeout) {
  next_report_ += report_interval - options_.report_interval;
  options_.report_interval = report_interval;
  options_.contact_timeout = contact_timeout;
}

bool AgentState::is_report_due(TimePoint now, const WorkerView& worker) const {
  if (fenced_ || asking_) return false;
  if (now >= next_report_ || worker.window > reported_window_ || (worker.has_ended && !last_in_)) return true;
  const bool may_wait = worker.window > windows_decided_;
  return may_wait && now >= next_report_ - options_.report_interval + options_.window_report_interval;
}

Actions AgentState::report(TimePoint now, probe::Tally tally, const wire::Losses& losses, bool is_last) {
  ++counters_.reports_sent;
  next_report_ = now + options_.report_interval;
  ++reports_;
  reported_window_ = tally.window;
  if (is_last && !last_in_) last_in_ = reports_;
  actions_.push_back(Send{wire::Report{.incarnation = options_.incarnation,
                                       .sequence = reports_,
                                       .epoch = running_ ? running_->epoch : 0,
                                       .window = tally.window,
                                       .steps = tally.steps,
                                       .stages = std::move(tally.stages),
                                       .is_last = is_last,
                                       .losses = losses}});
  return take_actions();
}

std::optional<std::uint64_t> AgentState::epoch_known() const {
  std::optional<std::uint64_t> epoch;
  if (committed_) epoch = committed_->stamp.epoch;
  if (running_) epoch = std::max(epoch.value_or(0), running_->epoch);
  return epoch;
}

void AgentState::handle(const wire::Snapshot& snapshot, TimePoint now) {
  if (!accepts_term(snapshot.stamp, "snapshot") || !accepts_shape(snapshot.placement, snapshot.stamp, "snapshot"))
    return;
  const std::uint64_t digest = wire::digest(snapshot.placement);
  const std::uint64_t epoch = snapshot.stamp.epoch;
  if (epoch < epoch_known().value_or(0)) {
    return refuse(wire::RefusalReason::kStaleStamp, "snapshot", snapshot.stamp,
                  fmt::format("epoch {} is below {}", epoch, *epoch_known()));
  }
  const bool is_running = running_ && running_->epoch == epoch;
  if ((is_running && running_->digest != digest) ||
      (committed_ && committed_->stamp.epoch == epoch && committed_->digest != digest)) {
    return refuse(wire::RefusalReason::kConflict, "snapshot", snapshot.stamp,
                  fmt::format("epoch {} came with two maps", epoch));
  }
  if (std::exchange(asking_, false)) forget_contact();
  hear(now);
  hello_wait_ = options_.hello_interval;
  last_contact_ = now;
  note("contact_made", snapshot.stamp, digest);
  commit({snapshot.stamp, snapshot.placement, digest});
  if (is_running) send_applied();
  // Only the leader that prepared an epoch commits it; a later one says so by a snapshot.
  if (prepared_ && prepared_->stamp.term < term_seen_) discard_prepared();
}

void AgentState::handle(const wire::ReportAck& ack, TimePoint now) {
  if (!accepts_term(ack.committed, "report_ack")) return;
  last_contact_ = now;
  if (!asking_) hear(now);
  if (ack.incarnation != options_.incarnation) return;
  if (last_in_ && ack.sequence >= *last_in_) is_last_answered_ = true;
  if (ack.window_decided > windows_decided_) {
    windows_decided_ = ack.window_decided;
    actions_.push_back(Decided{windows_decided_});
  }
  if (!committed_ || ack.committed.epoch > committed_->stamp.epoch) ask(now);
}

void AgentState::handle(const wire::Prepare& prepare, TimePoint now) {
  if (!accepts_term(prepare.stamp, "prepare")) return;
  if (!committed_ || prepare.base_epoch > committed_->stamp.epoch) return ask(now);
  // A refusal would make the rebalancer abort what it prepares by now.
  if (prepare.stamp.epoch <= committed_->stamp.epoch || (prepared_ && prepare.stamp < prepared_->stamp)) {
    ++counters_.prepares_late;
    return;
  }
  if (prepare.base_epoch < committed_->stamp.epoch) {
    return refuse(wire::RefusalReason::kStaleStamp, "prepare", prepare.stamp,
                  fmt::format("epoch {} builds on {}, below {}", prepare.stamp.epoch, prepare.base_epoch,
                              committed_->stamp.epoch));
  }
  if (!accepts_shape(prepare.placement, prepare.stamp, "prepare")) return;
  const std::uint64_t digest = wire::digest(prepare.placement);
  if (prepared_ && prepared_->stamp == prepare.stamp) {
    if (prepared_->digest != digest) {
      refuse(wire::RefusalReason::kConflict, "prepare", prepare.stamp,
             fmt::format("epoch {} came with two maps", prepare.stamp.epoch));
    } else if (prepared_is_loaded_) {
      actions_.push_back(Send{wire::Ready{prepare.stamp, options_.incarnation}});
    }
    return;
  }
  // Loading it now would take the place of what the worker is about to switch to; PREPARE comes again.
  if (!running_ || running_->epoch != prepare.base_epoch) {
    ++counters_.prepares_early;
    return;
  }
  if (prepared_) discard_prepared();
  prepared_ = Held{prepare.stamp, prepare.placement, digest};
  prepared_is_loaded_ = false;
  note("epoch_prepared", prepare.stamp, digest);
  // Nothing is prepared before all ranks run the base: this says what a lost RETIRE would have said.
  actions_.push_back(Release{prepare.base_epoch});
  actions_.push_back(
      Load{prepare.stamp, prepare.base_epoch, digest, prepare.placement, prepare.copies, prepare.chain_left});
}

void AgentState::handle(const wire::Commit& commit_message, TimePoint now) {
  const auto& [stamp, digest] = commit_message;
  if (!accepts_term(stamp, "commit")) return;
  if (stamp.epoch < epoch_known().value_or(0)) {
    return refuse(wire::RefusalReason::kStaleStamp, "commit", stamp,
                  fmt::format("epoch {} is below {}", stamp.epoch, *epoch_known()));
  }
  if (committed_ && stamp.epoch == committed_->stamp.epoch) {
    if (digest != committed_->digest) {
      return refuse(wire::RefusalReason::kConflict, "commit", stamp,
                    fmt::format("epoch {} came with two maps", stamp.epoch));
    }
    // Until the ranks have switched there is nothing to say.
    if (running_ && running_->epoch == stamp.epoch) send_applied();
    return;
  }
  if (!prepared_ || prepared_->stamp.epoch != stamp.epoch || prepared_->digest != digest) return ask(now);
  commit({stamp, prepared_->placement, digest});
}

void AgentState::handle(const wire::Retire& retire, TimePoint) {
  if (!accepts_term(retire.stamp, "retire")) return;
  if (!running_ || running_->epoch != retire.stamp.epoch || retired_ == retire.stamp.epoch) return;
  retired_ = retire.stamp.epoch;
  note("epoch_retired", retire.stamp, running_->digest);
  actions_.push_back(Release{retire.stamp.epoch});
}

void AgentState::handle(const wire::Abort& abort, TimePoint) {
  if (!accepts_term(abort.stamp, "abort")) return;
  if (prepared_ && prepared_->stamp == abort.stamp) discard_prepared();
}

void AgentState::handle(const wire::Refusal& refusal, TimePoint now) {
  ++counters_.refusals_received;
  actions_.push_back(wire::Note{"message_refused",
                                {{"by", "rebalancer"},
                                 {"about", refusal.about},
                                 {"reason", std::string(wire::reason_name(refusal.reason))},
                                 {"detail", refusal.detail}}});
  if (refusal.reason == wire::RefusalReason::kUnknownAgent) {
    ask(now);
  } else {
    hear(now);
  }
  const bool is_for_good = refusal.reason == wire::RefusalReason::kShrinkingCounts ||
                           refusal.reason == wire::RefusalReason::kImplausibleCounts;
  if (last_in_ && is_for_good) is_last_answered_ = true;
  if (refusal.reason == wire::RefusalReason::kStaleIncarnation) {
    fenced_ = true;
    actions_.push_back(wire::Note{"worker_fenced", {{"remedy", kFencedRemedy}}});
  }
}

bool AgentState::accepts_term(const wire::Stamp& stamp, std::string_view about) {
  if (stamp.term < term_seen_) {
    refuse(wire::RefusalReason::kStaleStamp, about, stamp, fmt::format("term {} is below {}", stamp.term, term_seen_));
    return false;
  }
  term_seen_ = stamp.term;
  return true;
}

bool AgentState::accepts_shape(const Placement& placement, const wire::Stamp& stamp, std::string_view about) {
  if (placement.experts() == options_.shape.experts &&
      std::ranges::equal(placement.layer_ids(), options_.shape.layer_ids)) {
    return true;
  }
  refuse(wire::RefusalReason::kShapeMismatch, about, stamp,
         fmt::format("the map has {} layers of {} experts, the model {} of {}", placement.layers(), placement.experts(),
                     options_.shape.layers(), options_.shape.experts));
  return false;
}

void AgentState::refuse(wire::RefusalReason reason, std::string_view about, const wire::Stamp& stamp,
                        std::string detail) {
  ++counters_.messages_refused;
  actions_.push_back(wire::Note{"message_refused",
                                {{"by", "agent"},
                                 {"about", std::string(about)},
                                 {"reason", std::string(wire::reason_name(reason))},
                                 {"detail", detail}}});
  actions_.push_back(Send{wire::Refusal{
      reason, std::string(about), stamp.epoch, {term_seen_, epoch_known().value_or(0)}, std::move(detail)}});
}

void AgentState::ask(TimePoint now) {
  if (asking_) return;
  asking_ = true;
  forget_contact();
  hello_wait_ = options_.hello_interval;
  next_hello_ = now;
}

void AgentState::hear(TimePoint now) {
  if (!contact_) contact_ = Contact{now, now};
  contact_->last = now;
  counters_.sends_dropped += std::exchange(drops_unanswered_, 0);
}

void AgentState::forget_contact() {
  contact_.reset();
  drops_unanswered_ = 0;
}

/// Makes this the committed placement, and has the worker load it where it has not.
void AgentState::commit(Held held) {
  const bool is_news = !committed_ || held.stamp.epoch > committed_->stamp.epoch;
  committed_ = std::move(held);
  if (!is_news) return;
  const bool is_offered =
      prepared_ && prepared_->stamp.epoch == committed_->stamp.epoch && prepared_->digest == committed_->digest;
  if (is_offered) {
    prepared_.reset();
  } else if (prepared_ && prepared_->stamp.epoch <= committed_->stamp.epoch) {
    discard_prepared();
  }
  if (running_ && running_->epoch == committed_->stamp.epoch) return;
  if (!is_offered) {
    actions_.push_back(Load{committed_->stamp, std::nullopt, committed_->digest, committed_->placement, {}, 0});
  }
  note("epoch_committed", committed_->stamp, committed_->digest);
  actions_.push_back(Allow{committed_->stamp});
}

void AgentState::discard_prepared() {
  note("epoch_discarded", prepared_->stamp, prepared_->digest);
  actions_.push_back(Discard{prepared_->stamp});
  prepared_.reset();
  prepared_is_loaded_ = false;
}

void AgentState::note(std::string event, const wire::Stamp& stamp, std::uint64_t digest) {
  actions_.push_back(wire::Note{std::move(event),
                                {{"term", stamp.term}, {"epoch", stamp.epoch}, {"digest", wire::digest_text(digest)}}});
}

void AgentState::send_hello(TimePoint now) {
  ++counters_.hellos_sent;
  next_hello_ = now + hello_wait_;
  hello_wait_ = std::min(hello_wait_ * 2, options_.hello_interval_max);
  wire::Hello hello{.incarnation = options_.incarnation,
                    .model_hash = wire::model_hash(options_.shape.layer_ids, options_.shape.experts),
                    .rank = options_.rank,
                    .world = options_.world,
                    .layer_ids = options_.shape.layer_ids,
                    .experts = options_.shape.experts,
                    .term_seen = term_seen_,
                    .epoch_applied = std::nullopt};
  if (running_) hello.epoch_applied = running_->epoch;
  actions_.push_back(Send{std::move(hello)});
}

void AgentState::send_applied() {
  const wire::Stamp stamp{term_seen_, running_->epoch};
  actions_.push_back(Send{wire::Applied{stamp, options_.incarnation, running_->digest, running_->step}});
}

}  // namespace evenkeel::agent
