#include "rebalancer/core/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agents/wire/limits.h"
#include "partition/foundation/check.h"

namespace evenkeel::rebalancer {
namespace {

wire::Refusal refusal(wire::RefusalReason reason, std::string_view about, std::string detail) {
  return {.reason = reason, .about = std::string(about), .about_epoch = {}, .known = {}, .detail = std::move(detail)};
}

/// Adds to `sum` what `now` says beyond `before`, and takes its place. One that fell has begun anew.
void add_new(wire::Losses& sum, wire::Losses& before, const wire::Losses& now) {
  for (std::size_t i = 0; i < wire::kLosses; ++i) {
    const std::uint64_t from = now.counts[i] < before.counts[i] ? 0 : before.counts[i];
    sum.counts[i] += now.counts[i] - from;
  }
  before = now;
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

Result<Placement> first_placement(const CoreOptions& options, const wire::Hello& hello) {
  if (!options.first_placement) {
    return contiguous_placement(hello.layer_ids, hello.experts, options.redundant, options.cluster.gpus,
                                options.cluster.nodes);
  }
  const Placement& first = *options.first_placement;
  if (first.experts() != hello.experts || !std::ranges::equal(first.layer_ids(), hello.layer_ids)) {
    return invalid_input(fmt::format("{} layers of {} experts; the profile of --profile has {} of {}",
                                     hello.layer_ids.size(), hello.experts, first.layers(), first.experts()));
  }
  return first;
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
  EVENKEEL_TRY_STATUS(policy.validate());
  if (lease.count() < 1) return invalid_input("--lease-ms is 0; give 1 or more, several report intervals");
  const auto timeout_ms = prepare_timeout.count();
  if (timeout_ms < 1 || timeout_ms > static_cast<std::int64_t>(wire::kDeadlineMsMax)) {
    return invalid_input(
        fmt::format("--prepare-timeout-ms is {}; give 1 to {}", timeout_ms, std::uint64_t{wire::kDeadlineMsMax}));
  }
  return {};
}

Result<Core> Core::create(CoreOptions options, std::uint64_t term, GroupRecovery recovery) {
  options.policy.cluster = options.cluster;
  EVENKEEL_TRY_STATUS(options.validate());
  if (recovery.running) EVENKEEL_TRY_STATUS(validate_running(options, recovery.running->placement));
  return Core(std::move(options), term, std::move(recovery));
}

Core::Core(CoreOptions options, std::uint64_t term, GroupRecovery recovery)
    : options_(std::move(options)),
      term_(term),
      next_epoch_(recovery.next_epoch),
      running_(std::move(recovery.running)),
      registry_(options_.agents_expected, options_.count_limits, running_.has_value(), recovery.totals),
      policy_(options_.policy),
      is_resuming_(running_.has_value()) {
  if (running_) running_digest_ = wire::digest(running_->placement);
  if (tokens_of(options_.known_loads) > 0 && are_of_the_running_model()) policy_.prime(options_.known_loads);
}

bool Core::are_of_the_running_model() const {
  if (!running_) return true;
  const Placement& placement = running_->placement;
  return std::ranges::all_of(options_.known_loads, [&](const StageLoad& stage) {
    return stage.load_tokens.rows() == placement.layers() && stage.load_tokens.cols() == placement.experts();
  });
}

CoreOptions CoreOptions::reloaded(const CoreOptions& wanted) const {
  CoreOptions options = *this;
  options.tokens_min = wanted.tokens_min;
  options.window_steps = wanted.window_steps;
  options.interval_min = wanted.interval_min;
  options.prepare_timeout = wanted.prepare_timeout;
  options.lease = wanted.lease;
  options.migrations_max = wanted.migrations_max;
  options.policy = wanted.policy;
  options.policy.cluster = cluster;
  options.policy.is_dry_run = policy.is_dry_run;
  return options;
}

CoreCounters& CoreCounters::operator+=(const CoreCounters& other) {
  hellos_accepted += other.hellos_accepted;
  hellos_refused += other.hellos_refused;
  reports_accepted += other.reports_accepted;
  reports_stale += other.reports_stale;
  reports_refused += other.reports_refused;
  reports_implausible += other.reports_implausible;
  paths_received += other.paths_received;
  paths_missed += other.paths_missed;
  for (std::size_t i = 0; i < wire::kLosses; ++i) agent_losses.counts[i] += other.agent_losses.counts[i];
  messages_from_unknown += other.messages_from_unknown;
  messages_late += other.messages_late;
  messages_unexpected += other.messages_unexpected;
  refusals_received += other.refusals_received;
  messages_resent += other.messages_resent;
  windows_closed += other.windows_closed;
  decisions_keep += other.decisions_keep;
  decisions_adopt += other.decisions_adopt;
  plans_failed += other.plans_failed;
  epochs_prepared += other.epochs_prepared;
  epochs_committed += other.epochs_committed;
  epochs_aborted += other.epochs_aborted;
  epochs_retired += other.epochs_retired;
  chains_dropped += other.chains_dropped;
  return *this;
}

Actions Core::step(const Event& event, TimePoint now) {
  std::visit([&](const auto& e) { handle(e, now); }, event);
  return std::exchange(actions_, {});
}

void Core::handle(const Received& received, TimePoint now) {
  std::visit([&](const auto& message) { on(received, message, now); }, received.message);
}

void Core::handle(const Tick&, TimePoint now) {
  if (preparing_ && now >= preparing_->deadline)
    abort("the deadline has passed without " + names_without([](const Agent& agent) { return agent.ready; }));
  if (chain_ && !preparing_) go_on_with_chain(now);
  resend(now);
  close_windows(now);
  registry_.keep_silent(now, options_.lease);
  keep_totals();
}

void Core::on(const Received& from, const wire::Hello& hello, TimePoint now) {
  // A hello whose answer is late comes again.
  const bool has_joined = registry_.find(from.peer, from.worker, hello.incarnation) != nullptr;
  auto why = reason_to_refuse(from, hello);
  if (!why) why = registry_.join(from.peer, from.worker, hello, now, options_.lease);
  if (why) {
    ++counters_.hellos_refused;
    return refuse(from, std::move(*why));
  }
  model_ = from.model;
  if (auto placed = ensure_first_placement(hello); !placed) {
    ++counters_.hellos_refused;
    return refuse(from, refusal(wire::RefusalReason::kShapeMismatch, "hello", placed.error().message));
  }
  ++counters_.hellos_accepted;
  keep_totals();
  Agent& agent = *registry_.find(from.peer, from.worker, hello.incarnation);
  if (!has_joined) note("agent_joined", {{"worker", from.worker}, {"incarnation", agent.incarnation}});
  send(agent, wire::Snapshot{{term_, running_->epoch}, running_->placement});
  if (hello.is_observer()) return;
  if (retired_epoch_ == running_->epoch) send(agent, wire::Retire{{term_, running_->epoch}});
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
  if (hello.model_hash != wire::model_hash(hello.layer_ids, hello.experts)) {
    return refusal(kShapeMismatch, "hello", "the model's hash is not that of its layers and experts");
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
  EVENKEEL_TRY(placement, first_placement(options_, hello));
  const wire::Stamp stamp{term_, next_epoch_++};
  actions_.push_back(
      Write{{{RecordKind::kPrepare, model_, stamp, placement, ""}, {RecordKind::kCommit, model_, stamp, {}, ""}}});
  running_digest_ = wire::digest(placement);
  running_ = Committed{stamp.epoch, std::move(placement)};
  note("epoch_committed", {{"term", stamp.term},
                           {"epoch", stamp.epoch},
                           {"digest", wire::digest_text(running_digest_)},
                           {"placement", options_.first_placement ? "from a profile" : "contiguous"}});
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
  switch (registry_.take(*agent, report, windows_closed_, now)) {
    case Intake::kAccepted:
      ++counters_.reports_accepted;
      add_new(counters_.agent_losses, agent->losses, report.losses);
      if (report.is_last) registry_.keep(from.worker, *agent);
      keep_totals();
      close_windows(now);
      break;
    case Intake::kStale:
      ++counters_.reports_stale;
      break;
    case Intake::kShrinking:
      ++counters_.reports_refused;
      return refuse(
          from, refusal(wire::RefusalReason::kShrinkingCounts, "report",
                        fmt::format("report {} counts less than report {}", report.sequence, agent->report_sequence)));
    case Intake::kImplausible:
      ++counters_.reports_refused;
      ++counters_.reports_implausible;
      return refuse(from, refusal(wire::RefusalReason::kImplausibleCounts, "report",
                                  fmt::format("report {} counts more than one worker can", report.sequence)));
    case Intake::kWrongShape:
      ++counters_.reports_refused;
      return refuse(from,
                    refusal(wire::RefusalReason::kShapeMismatch, "report", "counts have another shape than hello"));
  }
  acknowledge(*agent, report.sequence);
}

void Core::on(const Received& from, const wire::Paths& paths, TimePoint now) {
  Agent* agent = known(from, paths.incarnation, now);
  if (!agent) return;
  ++counters_.paths_received;
  const std::uint64_t before = std::exchange(agent->path_sequence, std::max(agent->path_sequence, paths.sequence));
  if (before > 0 && paths.sequence > before + 1) counters_.paths_missed += paths.sequence - before - 1;
}

void Core::on(const Received& from, const wire::Ready& ready, TimePoint now) {
  Agent* agent = known(from, ready.incarnation, now);
  if (!agent) return;
  if (!preparing_ || preparing_->stamp != ready.stamp) {
    ++counters_.messages_late;
    return;
  }
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
  retire_if_all_applied(now);
}

void Core::on(const Received& from, const wire::Refusal& refused, TimePoint) {
  ++counters_.refusals_received;
  note("message_refused", {{"by", from.worker},
                           {"about", refused.about},
                           {"reason", std::string(wire::reason_name(refused.reason))},
                           {"detail", refused.detail}});
  const auto agent = registry_.agents().find(from.worker);
  const bool speaks_for_worker = agent != registry_.agents().end() && agent->second.peer == from.peer;
  if (!speaks_for_worker || refused.about != "prepare") return;
  // Late ones are of an epoch that was given up meanwhile.
  if (!preparing_ || refused.about_epoch != preparing_->stamp.epoch) {
    ++counters_.messages_late;
    return;
  }
  abort(fmt::format("{} refused it: {}", from.worker, wire::reason_name(refused.reason)));
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

void Core::keep_totals() {
  auto records = registry_.take_records();
  if (records.empty()) return;
  for (TotalRecord& record : records) record.model = model_;
  actions_.push_back(WriteTotals{std::move(records)});
}

void Core::note(std::string event, wire::Note::Fields fields) {
  actions_.push_back(wire::Note{std::move(event), std::move(fields)});
}

}  // namespace evenkeel::rebalancer
