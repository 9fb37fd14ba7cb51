#include "agents/agent/agent_shell.h"

#include <array>
#include <utility>

#include "agents/shell/overloaded.h"
#include "agents/wire/frame.h"

namespace evenkeel::agent {
namespace {

constexpr int kMessagesPerStepMax = 64;

TimePoint clock_now() { return std::chrono::steady_clock::now(); }

}  // namespace

Result<AgentShell> AgentShell::connect(shell::SocketContext& context, Connection connection, AgentState state,
                                       ReplayWorker worker, Observer observer) {
  EVENKEEL_TRY(dealer, shell::Socket::dealer(context, connection.rebalancer, connection.curve));
  EVENKEEL_TRY(subscriber, shell::Socket::subscriber(context, connection.subscribe,
                                                     wire::broadcast_topic(connection.model), connection.curve));
  return AgentShell(std::move(connection), std::move(state), std::move(worker), std::move(observer), std::move(dealer),
                    std::move(subscriber));
}

AgentShell::AgentShell(Connection connection, AgentState state, ReplayWorker worker, Observer observer,
                       shell::Socket dealer, shell::Socket subscriber)
    : connection_(std::move(connection)),
      state_(std::move(state)),
      worker_(std::move(worker)),
      observer_(std::move(observer)),
      dealer_(std::move(dealer)),
      subscriber_(std::move(subscriber)) {}

void AgentShell::do_work(std::chrono::milliseconds timeout) {
  const std::array<shell::Socket*, 2> sockets{&dealer_, &subscriber_};
  shell::Socket::wait(sockets, timeout);
  for (int i = 0; i < kMessagesPerStepMax; ++i) {
    const bool direct = take_message(dealer_, Source::kDirect);
    const bool broadcast = take_message(subscriber_, Source::kBroadcast);
    if (!direct && !broadcast) break;
  }
  const TimePoint now = clock_now();
  worker_.advance(now);
  if (const auto stamp = worker_.take_loaded(now)) perform(state_.loaded(*stamp), now);
  perform(state_.tick(now, worker_.counts()), now);
}

bool AgentShell::take_message(shell::Socket& socket, Source source) {
  const auto parts = socket.receive();
  if (!parts) return false;
  const auto envelope = wire::open(*parts);
  const TimePoint now = clock_now();
  if (!envelope) {
    ++traffic_.messages_malformed;
    observer_({"message_dropped", {{"reason", envelope.error().message}}});
  } else if (envelope->sender != wire::kRebalancerName || envelope->model != connection_.model) {
    ++traffic_.messages_misaddressed;
  } else {
    if (source == Source::kBroadcast) notice_gap(envelope->sequence, now);
    perform(state_.on_message(envelope->message, now), now);
  }
  return true;
}

void AgentShell::notice_gap(std::uint64_t sequence, TimePoint now) {
  // A lower number is a new rebalancer, whose terms the state machine compares.
  const bool gap = broadcast_sequence_ != 0 && sequence > broadcast_sequence_ + 1;
  broadcast_sequence_ = sequence;
  if (!gap) return;
  ++traffic_.broadcast_gaps;
  perform(state_.on_gap(now), now);
}

void AgentShell::perform(const Actions& actions, TimePoint now) {
  for (const Action& action : actions) {
    std::visit(shell::Overloaded{[&](const Send& send_action) { send(send_action.message); },
                                 [&](const Load& load) { worker_.load(load.stamp, now); },
                                 [](const Apply&) { /* A recorded trace routes the same under every map. */ },
                                 [&](const Discard& discard) { worker_.discard(discard.stamp); },
                                 [&](const wire::Note& note) { observer_(note); }},
               action);
  }
}

void AgentShell::send(const wire::Message& message) {
  const wire::Frames frames = wire::seal({connection_.worker, connection_.model, ++sent_, message});
  if (dealer_.send(frames) != shell::Socket::Sent::kQueued) ++traffic_.sends_dropped;
}

}  // namespace evenkeel::agent
