#include "agents/agent/agent_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace evenkeel::agent {

AgentState::AgentState(AgentOptions options, TimePoint now)
    : options_(std::move(options)),
      hello_wait_(options_.hello_interval),
      next_hello_(now),
      next_report_(now),
      last_contact_(now) {}

Actions AgentState::take_actions() { return std::exchange(actions_, {}); }

Actions AgentState::on_message(const wire::Message& message, TimePoint now) {
  if (!fenced_) std::visit([&](const auto& m) { handle(m, now); }, message);
  return take_actions();
}

Actions AgentState::on_gap(TimePoint now) {
  ask(now);
  return take_actions();
}

Actions AgentState::loaded(const wire::Stamp& stamp) {
  if (prepared_ && prepared_->stamp == stamp && !prepared_is_loaded_) {
    prepared_is_loaded_ = true;
    note("epoch_ready", stamp, prepared_->digest);
    actions_.push_back(Send{wire::Ready{stamp, options_.incarnation}});
  }
  return take_actions();
}

Actions AgentState::tick(TimePoint now, const Counts& counts) {
  if (fenced_) return {};
  if (!asking_ && now - last_contact_ > options_.contact_timeout) {
    ++counters_.contacts_lost;
    actions_.push_back(wire::Note{"contact_lost", {}});
    ask(now);
  }
  if (asking_ && now >= next_hello_) send_hello(now);
  if (!asking_ && now >= next_report_) send_report(now, counts);
  return take_actions();
}

void AgentState::handle(const wire::Snapshot& snapshot, TimePoint now) {
  if (!accepts_term(snapshot.stamp, "snapshot") || !accepts_shape(snapshot.placement, "snapshot")) return;
  const std::uint64_t digest = wire::digest(snapshot.placement);
  if (committed_ && snapshot.stamp.epoch < committed_->stamp.epoch) {
    return refuse(wire::RefusalReason::kStaleStamp, "snapshot",
                  fmt::format("epoch {} is below {}", snapshot.stamp.epoch, committed_->stamp.epoch));
  }
  if (committed_ && snapshot.stamp.epoch == committed_->stamp.epoch && digest != committed_->digest) {
    return refuse(wire::RefusalReason::kConflict, "snapshot",
                  fmt::format("epoch {} came with two maps", snapshot.stamp.epoch));
  }
  asking_ = false;
  hello_wait_ = options_.hello_interval;
  last_contact_ = now;
  if (!committed_ || snapshot.stamp.epoch > committed_->stamp.epoch) {
    apply({snapshot.stamp, snapshot.placement, digest});
  } else {
    committed_->stamp.term = snapshot.stamp.term;
    note("contact_made", snapshot.stamp, digest);
    send_applied();
  }
  // Only the leader that prepared an epoch commits it; a later one says so by a snapshot.
  if (prepared_ && prepared_->stamp.term < term_seen_) discard_prepared();
}

void AgentState::handle(const wire::ReportAck& ack, TimePoint now) {
  if (!accepts_term(ack.committed, "report_ack")) return;
  last_contact_ = now;
  if (!committed_ || ack.committed.epoch > committed_->stamp.epoch) ask(now);
}

void AgentState::handle(const wire::Prepare& prepare, TimePoint now) {
  if (!accepts_term(prepare.stamp, "prepare")) return;
  if (!committed_ || prepare.base_epoch > committed_->stamp.epoch) return ask(now);
  if (prepare.base_epoch < committed_->stamp.epoch || (prepared_ && prepare.stamp < prepared_->stamp)) {
    return refuse(wire::RefusalReason::kStaleStamp, "prepare",
                  fmt::format("epoch {} is not above what is held", prepare.stamp.epoch));
  }
  if (!accepts_shape(prepare.placement, "prepare")) return;
  const std::uint64_t digest = wire::digest(prepare.placement);
  if (prepared_ && prepared_->stamp == prepare.stamp) {
    if (prepared_->digest != digest) {
      refuse(wire::RefusalReason::kConflict, "prepare",
             fmt::format("epoch {} came with two maps", prepare.stamp.epoch));
    } else if (prepared_is_loaded_) {
      actions_.push_back(Send{wire::Ready{prepare.stamp, options_.incarnation}});
    }
    return;
  }
  if (prepared_) discard_prepared();
  prepared_ = Held{prepare.stamp, prepare.placement, digest};
  prepared_is_loaded_ = false;
  note("epoch_prepared", prepare.stamp, digest);
  actions_.push_back(Load{prepare.stamp, prepare.placement});
}

void AgentState::handle(const wire::Commit& commit, TimePoint now) {
  if (!accepts_term(commit.stamp, "commit")) return;
  if (committed_ && commit.stamp.epoch < committed_->stamp.epoch) {
    return refuse(wire::RefusalReason::kStaleStamp, "commit",
                  fmt::format("epoch {} is below {}", commit.stamp.epoch, committed_->stamp.epoch));
  }
  if (committed_ && commit.stamp.epoch == committed_->stamp.epoch) {
    if (commit.digest == committed_->digest) return send_applied();
    return refuse(wire::RefusalReason::kConflict, "commit",
                  fmt::format("epoch {} came with two maps", commit.stamp.epoch));
  }
  if (!prepared_ || prepared_->stamp.epoch != commit.stamp.epoch || prepared_->digest != commit.digest) {
    return ask(now);
  }
  Held held = *std::exchange(prepared_, std::nullopt);
  held.stamp = commit.stamp;
  apply(std::move(held));
}

void AgentState::handle(const wire::Abort& abort, TimePoint) {
  if (!accepts_term(abort.stamp, "abort")) return;
  if (prepared_ && prepared_->stamp == abort.stamp) discard_prepared();
}

void AgentState::handle(const wire::Retire& retire, TimePoint) {
  if (!accepts_term(retire.stamp, "retire")) return;
  if (committed_ && committed_->stamp.epoch == retire.stamp.epoch)
    note("epoch_retired", retire.stamp, committed_->digest);
}

void AgentState::handle(const wire::Refusal& refusal, TimePoint now) {
  ++counters_.refusals_received;
  actions_.push_back(wire::Note{"message_refused",
                                {{"by", "rebalancer"},
                                 {"about", refusal.about},
                                 {"reason", std::string(wire::reason_name(refusal.reason))},
                                 {"detail", refusal.detail}}});
  if (refusal.reason == wire::RefusalReason::kUnknownAgent) ask(now);
  if (refusal.reason == wire::RefusalReason::kStaleIncarnation) {
    fenced_ = true;
    actions_.push_back(wire::Note{"worker_fenced", {}});
  }
}

bool AgentState::accepts_term(const wire::Stamp& stamp, std::string_view about) {
  if (stamp.term < term_seen_) {
    refuse(wire::RefusalReason::kStaleStamp, about, fmt::format("term {} is below {}", stamp.term, term_seen_));
    return false;
  }
  term_seen_ = stamp.term;
  return true;
}

bool AgentState::accepts_shape(const Placement& placement, std::string_view about) {
  if (placement.experts() == options_.shape.experts &&
      std::ranges::equal(placement.layer_ids(), options_.shape.layer_ids)) {
    return true;
  }
  refuse(wire::RefusalReason::kShapeMismatch, about,
         fmt::format("the map has {} layers of {} experts, the model {} of {}", placement.layers(), placement.experts(),
                     options_.shape.layers(), options_.shape.experts));
  return false;
}

void AgentState::refuse(wire::RefusalReason reason, std::string_view about, std::string detail) {
  ++counters_.messages_refused;
  actions_.push_back(wire::Note{"message_refused",
                                {{"by", "agent"},
                                 {"about", std::string(about)},
                                 {"reason", std::string(wire::reason_name(reason))},
                                 {"detail", detail}}});
  const std::uint64_t epoch = committed_ ? committed_->stamp.epoch : 0;
  actions_.push_back(Send{wire::Refusal{reason, std::string(about), {term_seen_, epoch}, std::move(detail)}});
}

void AgentState::ask(TimePoint now) {
  if (asking_) return;
  asking_ = true;
  hello_wait_ = options_.hello_interval;
  next_hello_ = now;
}

void AgentState::apply(Held held) {
  if (prepared_ && prepared_->stamp.epoch == held.stamp.epoch && prepared_->digest == held.digest) prepared_.reset();
  if (prepared_ && prepared_->stamp.epoch <= held.stamp.epoch) discard_prepared();
  committed_ = std::move(held);
  ++counters_.epochs_applied;
  note("epoch_applied", committed_->stamp, committed_->digest);
  actions_.push_back(Apply{committed_->stamp, committed_->placement});
  send_applied();
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
  if (committed_) hello.epoch_applied = committed_->stamp.epoch;
  actions_.push_back(Send{std::move(hello)});
}

void AgentState::send_report(TimePoint now, const Counts& counts) {
  ++counters_.reports_sent;
  next_report_ = now + options_.report_interval;
  actions_.push_back(Send{wire::Report{.incarnation = options_.incarnation,
                                       .sequence = ++reports_,
                                       .epoch = committed_->stamp.epoch,
                                       .window = 0,
                                       .steps = counts.tokens,
                                       .stages = {{wire::Stage::kMixed, counts.tokens, counts.load_tokens}}}});
}

void AgentState::send_applied() {
  actions_.push_back(Send{wire::Applied{committed_->stamp, options_.incarnation, committed_->digest, 0}});
}

}  // namespace evenkeel::agent
