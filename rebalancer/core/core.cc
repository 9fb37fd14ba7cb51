#include "rebalancer/core/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agents/wire/limits.h"
#include "partition/model/check.h"
#include "rebalancer/core/load_comparison.h"

namespace evenkeel::rebalancer {
namespace {

wire::Refusal refusal(wire::RefusalReason reason, std::string_view about, std::string detail) {
  return {.reason = reason, .about = std::string(about), .known = {}, .detail = std::move(detail)};
}

Status validate_running(const CoreOptions& options, const Placement& running) {
  const Cluster& cluster = options.cluster;
  if (running.gpus() == cluster.gpus && running.nodes() == cluster.nodes && running.redundant() == options.redundant) {
    return {};
  }
  return invalid_input(fmt::format(
      "--state holds a placement for {} GPUs on {} nodes with {} redundant slots, not {} on {} with {}; give those "
      "options, or another folder",
      running.gpus(), running.nodes(), running.redundant(), cluster.gpus, cluster.nodes, options.redundant));
}

}  // namespace

Status CoreOptions::validate() const {
  EVENKEEL_TRY_STATUS(cluster.validate());
  if (agents_expected < 1 || agents_expected > wire::kAgentsMax) {
    return invalid_input(fmt::format("--agents is {}; give 1 to {}", agents_expected, wire::kAgentsMax));
  }
  if (cluster.gpus > wire::kGpusMax) {
    return invalid_input(fmt::format("--gpus is {}; give 1 to {}", cluster.gpus, wire::kGpusMax));
  }
  if (!(gain_min_ratio >= 0 && gain_min_ratio <= 1)) {
    return invalid_input(fmt::format("--min-gain is {}; give 0 to 1", gain_min_ratio));
  }
  const auto timeout_ms = prepare_timeout.count();
  if (timeout_ms < 1 || timeout_ms > static_cast<std::int64_t>(wire::kDeadlineMsMax)) {
    return invalid_input(
        fmt::format("--prepare-timeout-ms is {}; give 1 to {}", timeout_ms, std::uint64_t{wire::kDeadlineMsMax}));
  }
  return {};
}

Result<Core> Core::create(CoreOptions options, Recovery recovery) {
  EVENKEEL_TRY_STATUS(options.validate());
  if (recovery.running) EVENKEEL_TRY_STATUS(validate_running(options, recovery.running->placement));
  return Core(std::move(options), std::move(recovery));
}

Core::Core(CoreOptions options, Recovery recovery)
    : options_(std::move(options)),
      term_(recovery.term),
      next_epoch_(recovery.next_epoch),
      running_(std::move(recovery.running)),
      registry_(options_.agents_expected) {
  if (running_) running_digest_ = wire::digest(running_->placement);
}

Actions Core::step(const Event& event, TimePoint now) {
  std::visit([&](const auto& e) { handle(e, now); }, event);
  return std::exchange(actions_, {});
}

void Core::handle(const Received& received, TimePoint now) {
  std::visit([&](const auto& message) { on(received, message, now); }, received.message);
}

void Core::handle(const Tick&, TimePoint now) {
  if (preparing_ && now >= preparing_->deadline) abort("the deadline has passed");
  resend(now);
  if (may_plan(now)) start_planning(now);
}

void Core::on(const Received& from, const wire::Hello& hello, TimePoint now) {
  auto why = reason_to_refuse(from, hello);
  if (!why) why = registry_.join(from.peer, from.worker, hello, now, options_.lease);
  if (why) {
    ++counters_.hellos_refused;
    return refuse(from, std::move(*why));
  }
  if (auto placed = ensure_first_placement(hello); !placed) {
    ++counters_.hellos_refused;
    return refuse(from, refusal(wire::RefusalReason::kShapeMismatch, "hello", placed.error().message));
  }
  ++counters_.hellos_accepted;
  model_ = from.model;
  Agent& agent = registry_.agents().at(from.worker);
  note("agent_joined", {{"worker", from.worker}, {"incarnation", agent.incarnation}});
  send(agent, wire::Snapshot{{term_, running_->epoch}, running_->placement});
  if (preparing_ && !agent.ready) send(agent, prepare_message(now));
  expect_answer(agent, now);
}

std::optional<wire::Refusal> Core::reason_to_refuse(const Received& from, const wire::Hello& hello) const {
  using enum wire::RefusalReason;
  if (!model_.empty() && from.model != model_) {
    return refusal(kShapeMismatch, "hello", fmt::format("model is {}; this service has {}", from.model, model_));
  }
  if (running_ && (hello.experts != running_->placement.experts() ||
                   !std::ranges::equal(hello.layer_ids, running_->placement.layer_ids()))) {
    return refusal(kShapeMismatch, "hello",
                   fmt::format("{} layers of {} experts; the placement has {} of {}", hello.layer_ids.size(),
                               hello.experts, running_->placement.layers(), running_->placement.experts()));
  }
  const std::uint64_t epoch = running_ ? running_->epoch : 0;
  if (hello.term_seen > term_ || hello.epoch_applied.value_or(0) > epoch) {
    return refusal(kStaleStamp, "hello",
                   fmt::format("it has seen term {} epoch {}, this journal only {} and {}; start with the --state that "
                               "has them, or restart the agents",
                               hello.term_seen, hello.epoch_applied.value_or(0), term_, epoch));
  }
  return std::nullopt;
}

Status Core::ensure_first_placement(const wire::Hello& hello) {
  if (running_) return {};
  const Cluster& cluster = options_.cluster;
  EVENKEEL_TRY(placement,
               contiguous_placement(hello.layer_ids, hello.experts, options_.redundant, cluster.gpus, cluster.nodes));
  const wire::Stamp stamp{term_, next_epoch_++};
  actions_.push_back(
      Write{{{RecordKind::kPrepare, stamp, placement, ""}, {RecordKind::kCommit, stamp, std::nullopt, ""}}});
  running_digest_ = wire::digest(placement);
  running_ = Committed{stamp.epoch, std::move(placement)};
  note("epoch_committed", {{"term", stamp.term},
                           {"epoch", stamp.epoch},
                           {"digest", wire::digest_text(running_digest_)},
                           {"placement", "contiguous"}});
  return {};
}

Agent* Core::known(const Received& from, std::uint64_t incarnation, TimePoint now) {
  if (Agent* agent = registry_.find(from.peer, from.worker, incarnation)) {
    agent->heard_at = now;
    return agent;
  }
  ++counters_.messages_from_unknown;
  const bool superseded = registry_.is_superseded(from.worker, incarnation);
  refuse(from, refusal(superseded ? wire::RefusalReason::kStaleIncarnation : wire::RefusalReason::kUnknownAgent,
                       wire::type_name(from.message),
                       superseded ? "a newer incarnation of this worker has joined" : "say hello first"));
  return nullptr;
}

void Core::on(const Received& from, const wire::Report& report, TimePoint now) {
  Agent* agent = known(from, report.incarnation, now);
  if (!agent) return;
  switch (registry_.take(*agent, report)) {
    case Intake::kAccepted:
      ++counters_.reports_accepted;
      break;
    case Intake::kStale:
      ++counters_.reports_stale;
      break;
    case Intake::kShrinking:
      ++counters_.reports_refused;
      return refuse(
          from, refusal(wire::RefusalReason::kShrinkingCounts, "report",
                        fmt::format("report {} counts less than report {}", report.sequence, agent->report_sequence)));
    case Intake::kWrongShape:
      ++counters_.reports_refused;
      return refuse(from,
                    refusal(wire::RefusalReason::kShapeMismatch, "report", "counts have another shape than hello"));
  }
  send(*agent, wire::ReportAck{{term_, running_->epoch}, report.incarnation, report.sequence});
}

void Core::on(const Received& from, const wire::Ready& ready, TimePoint now) {
  Agent* agent = known(from, ready.incarnation, now);
  if (!agent) return;
  if (!preparing_ || preparing_->stamp != ready.stamp) {
    ++counters_.messages_late;
    return;
  }
  if (!agent->ready) note("agent_ready", {{"worker", from.worker}, {"epoch", ready.stamp.epoch}});
  agent->ready = true;
  commit_if_all_ready(now);
}

void Core::on(const Received& from, const wire::Applied& applied, TimePoint now) {
  Agent* agent = known(from, applied.incarnation, now);
  if (!agent) return;
  if (!running_ || applied.stamp.epoch != running_->epoch || applied.digest != running_digest_) {
    ++counters_.messages_late;
    return;
  }
  if (std::exchange(agent->epoch_applied, applied.stamp.epoch) == applied.stamp.epoch) return;
  note("agent_applied", {{"worker", from.worker}, {"epoch", applied.stamp.epoch}});
}

void Core::on(const Received& from, const wire::Refusal& refused, TimePoint) {
  ++counters_.refusals_received;
  note("message_refused", {{"by", from.worker},
                           {"about", refused.about},
                           {"reason", std::string(wire::reason_name(refused.reason))},
                           {"detail", refused.detail}});
  const auto agent = registry_.agents().find(from.worker);
  const bool speaks_for_worker = agent != registry_.agents().end() && agent->second.peer == from.peer;
  if (preparing_ && speaks_for_worker && refused.about == "prepare") {
    abort(fmt::format("{} refused it: {}", from.worker, wire::reason_name(refused.reason)));
  }
}

void Core::refuse(const Received& from, wire::Refusal refused) {
  refused.known = {term_, running_ ? running_->epoch : 0};
  note("message_refused", {{"by", "rebalancer"},
                           {"worker", from.worker},
                           {"about", refused.about},
                           {"reason", std::string(wire::reason_name(refused.reason))},
                           {"detail", refused.detail}});
  actions_.push_back(Send{from.peer, from.model, std::move(refused)});
}

void Core::send(const Agent& agent, wire::Message message) {
  actions_.push_back(Send{agent.peer, model_, std::move(message)});
}

void Core::note(std::string event, wire::Note::Fields fields) {
  actions_.push_back(wire::Note{std::move(event), std::move(fields)});
}

}  // namespace evenkeel::rebalancer
