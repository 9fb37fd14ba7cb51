#include "rebalancer/core/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

/// Whether known loads may be used: a map that the journal held already is of a model of the same shape.
bool are_of_the_running_model(const std::vector<StageLoad>& loads, const std::optional<Committed>& running) {
  return std::ranges::all_of(loads, [&](const StageLoad& stage) {
    return !running || (stage.load_tokens.rows() == running->placement.layers() &&
                        stage.load_tokens.cols() == running->placement.experts());
  });
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

/// Why a HELLO is not one of this group. `group`: the model it has been for so far, empty before the first.
std::optional<wire::Refusal> reason_to_refuse(const Received& from, const wire::Hello& hello, const std::string& group,
                                              const Migration& migration) {
  using enum wire::RefusalReason;
  if (!group.empty() && from.model != group) {
    return refusal(kShapeMismatch, "hello", fmt::format("model is {}; this service has {}", from.model, group));
  }
  const auto& running = migration.running();
  if (running && (hello.experts != running->placement.experts() ||
                  !std::ranges::equal(hello.layer_ids, running->placement.layer_ids()))) {
    return refusal(kShapeMismatch, "hello",
                   fmt::format("{} layers of {} experts; the placement has {} of {}", hello.layer_ids.size(),
                               hello.experts, running->placement.layers(), running->placement.experts()));
  }
  if (hello.model_hash != wire::model_hash(hello.layer_ids, hello.experts)) {
    return refusal(kShapeMismatch, "hello", "the model's hash is not that of its layers and experts");
  }
  const wire::Stamp known = migration.stamp();
  if (hello.term_seen > known.term || hello.epoch_applied.value_or(0) > known.epoch) {
    return refusal(kStaleStamp, "hello",
                   fmt::format("it has seen term {} epoch {}, this journal only {} and {}; start with the --state that "
                               "has them, or restart the agents",
                               hello.term_seen, hello.epoch_applied.value_or(0), known.term, known.epoch));
  }
  return std::nullopt;
}

}  // namespace

Result<Core> Core::create(CoreOptions options, std::uint64_t term, GroupRecovery recovery) {
  options.policy.cluster = options.cluster;
  EVENKEEL_TRY_STATUS(options.validate());
  if (recovery.running) EVENKEEL_TRY_STATUS(validate_running(options, recovery.running->placement));
  return Core(std::move(options), term, std::move(recovery));
}

Core::Core(CoreOptions options, std::uint64_t term, GroupRecovery recovery)
    : operator_(std::move(options)),
      registry_(operator_.options(), recovery.running.has_value(), recovery.totals),
      migration_(operator_.options(), term, std::move(recovery)),
      windows_(operator_.options(), migration_.running().has_value()) {
  const std::vector<StageLoad>& loads = operator_.options().known_loads;
  if (tokens_of(loads) > 0 && are_of_the_running_model(loads, migration_.running())) windows_.prime(loads);
}

Actions Core::step(const Event& event, TimePoint now) {
  std::visit([&](const auto& e) { handle(e, now); }, event);
  return out_.take();
}

void Core::handle(const Received& received, TimePoint now) {
  std::visit([&](const auto& message) { on(received, message, now); }, received.message);
}

void Core::handle(const PlanReady& plan, TimePoint now) {
  if (!windows_.awaits(plan.plan)) {
    ++counters_.messages_late;
    return;
  }
  auto adopted = windows_.judge(plan, surroundings(now), out_);
  if (adopted) settle(migration_.begin(*std::move(adopted), registry_, now, out_));
}

void Core::handle(const Tick&, TimePoint now) {
  settle(migration_.expire(registry_, now, out_));
  migration_.resend(registry_, now, out_);
  close_windows(now);
  registry_.keep_silent(now);
  keep_totals();
}

void Core::carry_out(const Orders& orders) {
  if (orders.has_new_options) {
    registry_.reconfigure(options());
    migration_.reconfigure(options());
    windows_.reconfigure(options());
  }
  if (orders.is_triggered) windows_.trigger();
  if (orders.give_up) settle(migration_.give_up(*orders.give_up, registry_, out_));
}

std::optional<wire::Refusal> Core::admit(const Received& from, const wire::Hello& hello, TimePoint now) {
  if (auto why = reason_to_refuse(from, hello, out_.model(), migration_)) return why;
  if (auto why = registry_.join(from.peer, from.worker, hello, now)) return why;
  out_.set_model(from.model);
  if (running()) return std::nullopt;
  auto placement = first_placement(options(), hello);
  if (!placement) return refusal(wire::RefusalReason::kShapeMismatch, "hello", placement.error().message);
  migration_.commit_first(*std::move(placement), options().first_placement ? "from a profile" : "contiguous", out_);
  return std::nullopt;
}

void Core::on(const Received& from, const wire::Hello& hello, TimePoint now) {
  // A hello whose answer is late comes again.
  const bool has_joined = registry_.find(from.peer, from.worker, hello.incarnation) != nullptr;
  if (auto why = admit(from, hello, now)) {
    ++counters_.hellos_refused;
    return refuse(from, *std::move(why));
  }
  ++counters_.hellos_accepted;
  keep_totals();
  Agent& agent = *registry_.find(from.peer, from.worker, hello.incarnation);
  if (!has_joined) out_.note("agent_joined", {{"worker", from.worker}, {"incarnation", agent.incarnation}});
  migration_.welcome(agent, now, out_);
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
  switch (registry_.take(*agent, report, windows_.first_open(), now)) {
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
  windows_.acknowledge(*agent, report.sequence, migration_.stamp(), out_);
}

void Core::on(const Received& from, const wire::Paths& paths, TimePoint now) {
  Agent* agent = known(from, paths.incarnation, now);
  if (!agent) return;
  ++counters_.paths_received;
  const std::uint64_t before = std::exchange(agent->path_sequence, std::max(agent->path_sequence, paths.sequence));
  if (before > 0 && paths.sequence > before + 1) counters_.paths_missed += paths.sequence - before - 1;
}

void Core::on(const Received& from, const wire::Ready& ready, TimePoint now) {
  if (Agent* agent = known(from, ready.incarnation, now)) {
    settle(migration_.ready(*agent, ready, registry_, now, out_));
  }
}

void Core::on(const Received& from, const wire::Applied& applied, TimePoint now) {
  if (Agent* agent = known(from, applied.incarnation, now)) {
    settle(migration_.applied(*agent, applied, registry_, now, out_));
  }
}

void Core::on(const Received& from, const wire::Refusal& refused, TimePoint) {
  ++counters_.refusals_received;
  out_.note("message_refused", {{"by", from.worker},
                                {"about", refused.about},
                                {"reason", std::string(wire::reason_name(refused.reason))},
                                {"detail", refused.detail}});
  const auto agent = registry_.agents().find(from.worker);
  const bool speaks_for_worker = agent != registry_.agents().end() && agent->second.peer == from.peer;
  if (!speaks_for_worker || refused.about != "prepare") return;
  settle(migration_.refused(from.worker, refused, registry_, out_));
}

void Core::refuse(const Received& from, wire::Refusal refused) {
  refused.known = migration_.stamp();
  out_.note("message_refused", {{"by", "rebalancer"},
                                {"worker", from.worker},
                                {"about", refused.about},
                                {"reason", std::string(wire::reason_name(refused.reason))},
                                {"detail", refused.detail}});
  out_.send(from.peer, from.model, std::move(refused));
}

void Core::keep_totals() {
  auto records = registry_.take_records();
  if (!records.empty()) out_.write_totals(std::move(records));
}

Surroundings Core::surroundings(TimePoint now) {
  return {.registry = registry_, .running = *running(), .term = term(), .is_held = operator_.is_held(), .now = now};
}

void Core::close_windows(TimePoint now) {
  if (running()) windows_.close_complete(surroundings(now), out_);
}

void Core::settle(Migration::Outcome outcome) {
  using enum Migration::Outcome;
  if (outcome == kLate) ++counters_.messages_late;
  if (outcome == kEnded) windows_.finish(registry_, migration_.stamp(), out_);
}

std::string_view Core::phase() const {
  if (migration_.is_preparing()) return "preparing";
  if (running() && !registry_.has_all_on(running()->epoch)) return "switching";
  return windows_.is_planning() ? "planning" : "idle";
}

}  // namespace evenkeel::rebalancer
