#include "rebalancer/server/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/shell/overloaded.h"
#include "agents/wire/frame.h"

namespace evenkeel::rebalancer {
namespace {

constexpr int kMessagesPerStepMax = 256;
/// Routing id, topic, sequence, payload.
constexpr std::size_t kFramesOfMessage = 4;

constexpr std::string_view kFreezeWish = "freeze";
constexpr std::string_view kDryRunWish = "dry_run";
constexpr std::chrono::milliseconds kPlanWait{2};
constexpr std::chrono::milliseconds kTickInterval{5};

TimePoint clock_now() { return std::chrono::steady_clock::now(); }

}  // namespace

Result<Server> Server::start(shell::SocketContext& context, const Endpoints& endpoints, Groups groups, Journal journal,
                             PlannerOptions planner_options, Observer observer, Keys keys) {
  std::optional<ZapHandler> zap;
  if (keys.curve.is_on()) {
    EVENKEEL_TRY(handler, ZapHandler::start(context, std::move(keys.authorised)));
    zap = std::move(handler);
  }
  EVENKEEL_TRY(router, shell::Socket::router(context, endpoints.bind, keys.curve));
  EVENKEEL_TRY(guard, ConnectionGuard::watch(context, router, {}));
  EVENKEEL_TRY(publisher, shell::Socket::publisher(context, endpoints.publish, keys.curve));
  EVENKEEL_TRY(subscriber_guard, ConnectionGuard::watch(context, publisher, kOfSmallTalk));
  Server server(std::move(groups), std::move(journal), Planner(std::move(planner_options)), std::move(observer),
                std::move(zap), std::move(router), std::move(guard), std::move(publisher), std::move(subscriber_guard));
  EVENKEEL_TRY_STATUS(server.take_up_wishes());
  return server;
}

Server::Server(Groups groups, Journal journal, Planner planner, Observer observer, std::optional<ZapHandler> zap,
               shell::Socket router, std::unique_ptr<ConnectionGuard> guard, shell::Socket publisher,
               std::unique_ptr<ConnectionGuard> subscriber_guard)
    : groups_(std::move(groups)),
      journal_(std::move(journal)),
      planner_(std::move(planner)),
      observer_(std::move(observer)),
      zap_(std::move(zap)),
      router_(std::move(router)),
      guard_(std::move(guard)),
      publisher_(std::move(publisher)),
      subscriber_guard_(std::move(subscriber_guard)) {}

Status Server::take_up_wishes() {
  using enum Control::Command;
  EVENKEEL_TRY(freeze, journal_.wish(kFreezeWish));
  EVENKEEL_TRY(dry_run, journal_.wish(kDryRunWish));
  frozen_ = freeze;
  is_dry_run_ = dry_run.has_value();
  if (freeze) EVENKEEL_TRY_STATUS(perform(groups_.step(Control{kFreeze, *freeze}, clock_now())));
  if (dry_run) EVENKEEL_TRY_STATUS(perform(groups_.step(Control{kDryRunOn, *dry_run}, clock_now())));
  return {};
}

Status Server::do_work(std::chrono::milliseconds timeout, std::span<shell::Socket* const> others) {
  std::vector<shell::Socket*> sockets(others.begin(), others.end());
  sockets.push_back(&router_);
  if (zap_) sockets.push_back(&zap_->socket());
  // A plan that is ready announces itself nowhere.
  shell::Socket::wait(sockets, planner_.is_busy() ? std::min(timeout, kPlanWait) : timeout);
  if (zap_) zap_->answer();
  EVENKEEL_TRY_STATUS(take_messages());
  if (auto plan = planner_.take_finished()) {
    EVENKEEL_TRY_STATUS(perform(groups_.step(std::move(*plan), clock_now())));
  }
  // A step after each message of a thousand agents would look at all of them a thousand times a second.
  const TimePoint now = clock_now();
  if (now - ticked_at_ < kTickInterval) return {};
  ticked_at_ = now;
  return perform(groups_.step(Tick{}, now));
}

Status Server::take_messages() {
  for (int i = 0; i < kMessagesPerStepMax; ++i) {
    const auto incoming = router_.receive_from();
    if (!incoming) {
      guard_->emptied();
      return {};
    }
    EVENKEEL_TRY(sender, take_message(*incoming));
    guard_->took_message(incoming->connection, sender);
  }
  return {};
}

Result<ConnectionGuard::Sender> Server::take_message(const shell::Incoming& incoming) {
  using enum ConnectionGuard::Sender;
  ++traffic_.messages_received;
  if (incoming.frames > kFramesOfMessage) {
    drop(traffic_.messages_too_many_frames,
         fmt::format("{} frames came; a message has {}", incoming.frames - 1, kFramesOfMessage - 1));
    return kStranger;
  }
  auto envelope = wire::open(std::span(incoming.parts).subspan(1));
  if (!envelope) {
    drop(traffic_.messages_malformed, envelope.error().message);
    return kStranger;
  }
  if (zap_ && !zap_->keys().may_speak_for(incoming.user, envelope->sender)) {
    drop(traffic_.messages_unauthorised,
         fmt::format("the key of {} does not speak for {}; add worker={} to its line of --authorized-keys",
                     incoming.user, envelope->sender, envelope->sender));
    guard_->end_unauthorised(incoming.connection);
    return kStranger;
  }
  const Received received{incoming.parts.front(), std::move(envelope->sender), std::move(envelope->model),
                          std::move(envelope->message)};
  EVENKEEL_TRY_STATUS(perform(groups_.step(received, clock_now())));
  return is_of_agent(received) ? kAgent : kStranger;
}

bool Server::is_of_agent(const Received& received) const {
  const auto core = groups_.cores().find(received.model);
  return core != groups_.cores().end() && core->second.registry().has(received.peer, received.worker);
}

void Server::drop(std::uint64_t& counter, std::string reason) {
  ++counter;
  observer_({"message_dropped", {{"reason", std::move(reason)}}});
}

Status Server::command(const Control& control) {
  using enum Control::Command;
  switch (control.command) {
    case kFreeze:
      EVENKEEL_TRY_STATUS(journal_.set_wish(kFreezeWish, control.reason));
      frozen_ = control.reason;
      break;
    case kUnfreeze:
      EVENKEEL_TRY_STATUS(journal_.set_wish(kFreezeWish, std::nullopt));
      frozen_.reset();
      break;
    case kDryRunOn:
      EVENKEEL_TRY_STATUS(journal_.set_wish(kDryRunWish, control.reason));
      is_dry_run_ = true;
      break;
    case kDryRunOff:
      EVENKEEL_TRY_STATUS(journal_.set_wish(kDryRunWish, std::nullopt));
      is_dry_run_ = false;
      break;
    case kTrigger:
    case kDrain:
      break;
  }
  return perform(groups_.step(control, clock_now()));
}

Status Server::reconfigure(const CoreOptions& options) {
  return perform(groups_.step(Reconfigured{options}, clock_now()));
}

Status Server::set_dry_run(bool is_wanted) {
  EVENKEEL_TRY(wish, journal_.wish(kDryRunWish));
  const bool is_on = is_wanted || wish;
  if (is_on == std::exchange(is_dry_run_, is_on)) return {};
  return perform(groups_.step(Control{is_on ? Control::Command::kDryRunOn : Control::Command::kDryRunOff, "settings"},
                              clock_now()));
}

bool Server::is_settled() const {
  const TimePoint now = clock_now();
  return std::ranges::all_of(groups_.cores(), [&](const auto& entry) { return entry.second.is_settled(now); });
}

void Server::replace_keys(AuthorisedKeys keys) {
  if (zap_) zap_->replace_keys(std::move(keys));
}

Status Server::perform(Actions actions) {
  for (Action& action : actions) {
    EVENKEEL_TRY_STATUS(
        std::visit(shell::Overloaded{[&](const Send& to_send) {
                                       send(to_send);
                                       return Status();
                                     },
                                     [&](const Broadcast& to_all) {
                                       broadcast(to_all);
                                       return Status();
                                     },
                                     [&](const Write& decisions) { return write(decisions); },
                                     [&](const WriteDecision& decision) { return journal_.append(decision.record); },
                                     [&](const WriteTotals& totals) { return journal_.keep(totals.records); },
                                     [&](StartPlanning& job) {
                                       planner_.plan(std::move(job));
                                       return Status();
                                     },
                                     [&](const wire::Note& note) {
                                       observer_(note);
                                       return Status();
                                     }},
                   action));
  }
  return {};
}

Status Server::write(const Write& action) {
  const TimePoint began = clock_now();
  const Status written = journal_.append(action.records);
  ++traffic_.journal_writes;
  traffic_.journal_write_seconds += std::chrono::duration<double>(clock_now() - began).count();
  return written;
}

void Server::send(const Send& action) {
  wire::Frames frames = wire::seal({std::string(wire::kRebalancerName), action.model, ++sent_, action.message});
  const std::array parts{action.peer, std::move(frames[0]), std::move(frames[1]), std::move(frames[2])};
  const auto sent = router_.send(parts);
  if (sent == shell::Socket::Sent::kFull) ++traffic_.sends_dropped;
  if (sent == shell::Socket::Sent::kNoPeer) ++traffic_.sends_without_peer;
}

void Server::broadcast(const Broadcast& action) {
  const wire::Frames frames =
      wire::seal({std::string(wire::kRebalancerName), action.model, ++broadcasts_[action.model], action.message});
  if (publisher_.send(frames) != shell::Socket::Sent::kQueued) ++traffic_.sends_dropped;
}

}  // namespace evenkeel::rebalancer
