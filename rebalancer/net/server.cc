#include "rebalancer/net/server.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "agents/shell/overloaded.h"
#include "agents/wire/frame.h"

namespace evenkeel::rebalancer {
namespace {

constexpr int kMessagesPerStepMax = 256;

TimePoint clock_now() { return std::chrono::steady_clock::now(); }

}  // namespace

Result<Server> Server::start(shell::SocketContext& context, const Endpoints& endpoints, Core core, Journal journal,
                             PlannerOptions planner_options, Observer observer) {
  EVENKEEL_TRY(router, shell::Socket::router(context, endpoints.bind));
  EVENKEEL_TRY(publisher, shell::Socket::publisher(context, endpoints.publish));
  return Server(std::move(core), std::move(journal), Planner(planner_options), std::move(observer), std::move(router),
                std::move(publisher));
}

Server::Server(Core core, Journal journal, Planner planner, Observer observer, shell::Socket router,
               shell::Socket publisher)
    : core_(std::move(core)),
      journal_(std::move(journal)),
      planner_(std::move(planner)),
      observer_(std::move(observer)),
      router_(std::move(router)),
      publisher_(std::move(publisher)) {}

Status Server::do_work(std::chrono::milliseconds timeout) {
  const std::array<shell::Socket*, 1> sockets{&router_};
  shell::Socket::wait(sockets, timeout);
  for (int i = 0; i < kMessagesPerStepMax; ++i) {
    const auto parts = router_.receive();
    if (!parts) break;
    EVENKEEL_TRY_STATUS(take_message(*parts));
  }
  if (auto plan = planner_.take_finished()) {
    EVENKEEL_TRY_STATUS(perform(core_.step(std::move(*plan), clock_now())));
  }
  return perform(core_.step(Tick{}, clock_now()));
}

Status Server::take_message(const shell::Parts& parts) {
  auto envelope = wire::open(std::span(parts).subspan(1));
  if (!envelope) {
    ++traffic_.messages_malformed;
    observer_({"message_dropped", {{"reason", envelope.error().message}}});
    return {};
  }
  const Received received{parts.front(), std::move(envelope->sender), std::move(envelope->model),
                          std::move(envelope->message)};
  return perform(core_.step(received, clock_now()));
}

Status Server::perform(Actions actions) {
  for (Action& action : actions) {
    EVENKEEL_TRY_STATUS(std::visit(shell::Overloaded{[&](const Send& to_send) {
                                                       send(to_send);
                                                       return Status();
                                                     },
                                                     [&](const Broadcast& to_all) {
                                                       broadcast(to_all);
                                                       return Status();
                                                     },
                                                     [&](const Write& write) { return journal_.append(write.records); },
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

void Server::send(const Send& action) {
  wire::Frames frames = wire::seal({std::string(wire::kRebalancerName), action.model, ++sent_, action.message});
  const std::array parts{action.peer, std::move(frames[0]), std::move(frames[1]), std::move(frames[2])};
  const auto sent = router_.send(parts);
  if (sent == shell::Socket::Sent::kFull) ++traffic_.sends_dropped;
  if (sent == shell::Socket::Sent::kNoPeer) ++traffic_.sends_without_peer;
}

void Server::broadcast(const Broadcast& action) {
  const wire::Frames frames =
      wire::seal({std::string(wire::kRebalancerName), action.model, ++broadcasts_, action.message});
  if (publisher_.send(frames) != shell::Socket::Sent::kQueued) ++traffic_.sends_dropped;
}

}  // namespace evenkeel::rebalancer
