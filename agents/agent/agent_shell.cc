#include "agents/agent/agent_shell.h"

#include <utility>

#include "agents/probe/replay_side.h"
#include "agents/shell/overloaded.h"
#include "agents/wire/frame.h"

namespace evenkeel::agent {
namespace {

constexpr int kMessagesPerStepMax = 64;

TimePoint clock_now() { return std::chrono::steady_clock::now(); }

}  // namespace

Result<AgentShell> AgentShell::connect(shell::SocketContext& context, const Endpoints& endpoints, AgentState state,
                                       probe::ProbeReader probe, Observer observer) {
  EVENKEEL_TRY(dealer, shell::Socket::dealer(context, endpoints.rebalancer, endpoints.curve));
  EVENKEEL_TRY(subscriber, shell::Socket::subscriber(context, endpoints.subscribe, wire::broadcast_topic(probe.model()),
                                                     endpoints.curve));
  return AgentShell(std::move(state), std::move(probe), std::move(observer), std::move(dealer), std::move(subscriber));
}

AgentShell::AgentShell(AgentState state, probe::ProbeReader probe, Observer observer, shell::Socket dealer,
                       shell::Socket subscriber)
    : state_(std::move(state)),
      probe_(std::move(probe)),
      worker_(probe_.worker()),
      model_(probe_.model()),
      observer_(std::move(observer)),
      dealer_(std::move(dealer)),
      subscriber_(std::move(subscriber)) {}

void AgentShell::add_sockets(std::vector<shell::Socket*>& sockets) {
  sockets.push_back(&dealer_);
  sockets.push_back(&subscriber_);
}

void AgentShell::do_work() {
  probe_.header().agent_alive_ms.store(probe::monotonic_ms(), std::memory_order_relaxed);
  for (int i = 0; i < kMessagesPerStepMax; ++i) {
    const bool direct = take_message(dealer_, Source::kDirect);
    const bool broadcast = take_message(subscriber_, Source::kBroadcast);
    if (!direct && !broadcast) break;
  }
  const TimePoint now = clock_now();
  // Looked at before its counts are read.
  const bool has_ended = !probe_.is_alive() || probe_.is_finished();
  const WorkerView worker{.epochs = probe_.epochs(), .window = probe_.windows(), .has_ended = has_ended};
  perform(state_.tick(now, worker));
  if (state_.is_report_due(now, worker)) report(now, has_ended);
  probe_.header().term_seen.store(state_.term_seen(), std::memory_order_relaxed);
}

void AgentShell::report(TimePoint now, bool is_last) {
  auto tally = probe_.read();
  // A worker that publishes without a pause is read at the next turn.
  if (!tally) return;
  // Before it is sent: a successor must not use the number again.
  probe_.header().reports.store(state_.reports() + 1, std::memory_order_relaxed);
  const wire::Losses lost = losses(*tally);
  perform(state_.report(now, std::move(*tally), lost, is_last));
  send_paths();
}

wire::Losses AgentShell::losses(const probe::Tally& tally) const {
  wire::Losses losses;
  losses[wire::Loss::kCallsRefused] = tally.refused_calls;
  losses[wire::Loss::kPathsDropped] = tally.paths_dropped;
  losses[wire::Loss::kPathBatchesLost] = probe_.batches_lost();
  losses[wire::Loss::kMessagesDropped] = traffic_.messages_malformed + traffic_.messages_misaddressed;
  losses[wire::Loss::kBroadcastGaps] = traffic_.broadcast_gaps;
  losses[wire::Loss::kSendsDropped] = state_.counters().sends_dropped;
  return losses;
}

void AgentShell::send_paths() {
  auto& sequence = probe_.header().path_reports;
  for (wire::Paths& paths : probe_.take_paths()) {
    paths.sequence = sequence.load(std::memory_order_relaxed) + 1;
    sequence.store(paths.sequence, std::memory_order_relaxed);
    send(std::move(paths));
  }
}

bool AgentShell::take_message(shell::Socket& socket, Source source) {
  const auto parts = socket.receive();
  if (!parts) return false;
  const auto envelope = wire::open(*parts);
  const TimePoint now = clock_now();
  if (!envelope) {
    ++traffic_.messages_malformed;
    observer_({"message_dropped", {{"reason", envelope.error().message}}});
  } else if (envelope->sender != wire::kRebalancerName || envelope->model != model_) {
    ++traffic_.messages_misaddressed;
  } else {
    if (source == Source::kBroadcast) notice_gap(envelope->sequence, now);
    perform(state_.on_message(envelope->message, now));
  }
  return true;
}

void AgentShell::notice_gap(std::uint64_t sequence, TimePoint now) {
  // A lower number is a new rebalancer, whose terms the state machine compares.
  const bool gap = broadcast_sequence_ != 0 && sequence > broadcast_sequence_ + 1;
  broadcast_sequence_ = sequence;
  if (!gap) return;
  ++traffic_.broadcast_gaps;
  perform(state_.on_gap(now));
}

void AgentShell::perform(Actions actions) {
  for (const Action& action : actions) {
    std::visit(shell::Overloaded{[&](const Send& send_action) { send(send_action.message); },
                                 [&](const Load& load_action) { load(load_action); },
                                 [&](const Allow& allow) { probe_.outbox().commit(allow.stamp.epoch); },
                                 [&](const Discard& discard) { probe_.outbox().withdraw(discard.stamp.epoch); },
                                 [&](const Release& release) {
                                   probe_.header().retired.store(release.epoch + 1, std::memory_order_release);
                                 },
                                 [&](const Decided& decided) {
                                   probe_.header().windows_decided.store(decided.windows, std::memory_order_release);
                                 },
                                 [&](const wire::Note& note) { observer_(note); }},
               action);
  }
}

void AgentShell::load(const Load& load) {
  const bool fits = probe_.outbox().offer({.epoch = load.stamp.epoch,
                                           .base_epoch = load.base_epoch,
                                           .digest = load.digest,
                                           .chain_left = load.chain_left,
                                           .placement = &load.placement,
                                           .copies = load.copies});
  if (!fits) perform(state_.cannot_load(load.stamp, "the worker has no room for its slots; raise slots_max"));
}

void AgentShell::send(const wire::Message& message) {
  const wire::Frames frames = wire::seal({worker_, model_, ++sent_, message});
  if (dealer_.send(frames) != shell::Socket::Sent::kQueued) state_.on_dropped();
}

}  // namespace evenkeel::agent
