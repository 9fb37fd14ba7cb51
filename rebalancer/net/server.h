#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "agents/shell/zmq_adapter.h"
#include "agents/wire/note.h"
#include "partition/model/result.h"
#include "rebalancer/core/core.h"
#include "rebalancer/net/planner.h"
#include "rebalancer/store/journal.h"

namespace evenkeel::rebalancer {

struct TrafficCounters {
  std::uint64_t messages_malformed = 0;
  /// To a peer that is gone.
  std::uint64_t sends_without_peer = 0;
  /// To a peer that does not keep up.
  std::uint64_t sends_dropped = 0;
};

/// Carries messages between the core, its agents, the journal and the planner. Holds no rules. One thread.
class Server {
 public:
  using Observer = std::function<void(const wire::Note&)>;
  struct Endpoints {
    std::string bind;
    std::string publish;
  };

  /// Fails with kInvalidInput where an endpoint cannot be bound.
  [[nodiscard]] static Result<Server> start(shell::SocketContext& context, const Endpoints& endpoints, Core core,
                                            Journal journal, PlannerOptions planner, Observer observer);

  /// Waits at most `timeout` for a message and takes up to 256. Fails with kFailure where the journal cannot be
  /// written: nothing may be decided without it, so the program must end.
  [[nodiscard]] Status do_work(std::chrono::milliseconds timeout);

  [[nodiscard]] const Core& core() const { return core_; }
  [[nodiscard]] const TrafficCounters& traffic() const { return traffic_; }

 private:
  Server(Core core, Journal journal, Planner planner, Observer observer, shell::Socket router, shell::Socket publisher);

  [[nodiscard]] Status take_message(const shell::Parts& parts);
  [[nodiscard]] Status perform(Actions actions);
  void send(const Send& action);
  void broadcast(const Broadcast& action);

  Core core_;
  Journal journal_;
  Planner planner_;
  Observer observer_;
  shell::Socket router_;
  shell::Socket publisher_;
  std::uint64_t sent_ = 0;
  std::uint64_t broadcasts_ = 0;
  TrafficCounters traffic_;
};

}  // namespace evenkeel::rebalancer
