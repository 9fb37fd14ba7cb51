#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "agents/agent/agent_state.h"
#include "agents/agent/replay_worker.h"
#include "agents/shell/zmq_adapter.h"
#include "partition/model/result.h"

namespace evenkeel::agent {

struct Connection {
  std::string worker;
  std::string model;
  /// Endpoint of the rebalancer's ROUTER.
  std::string rebalancer;
  /// Endpoint of its PUB.
  std::string subscribe;
  /// Off: the rebalancer's sockets take anyone.
  shell::Curve curve = {};
};

struct TrafficCounters {
  std::uint64_t messages_malformed = 0;
  /// For another model or not from a rebalancer.
  std::uint64_t messages_misaddressed = 0;
  std::uint64_t sends_dropped = 0;
  std::uint64_t broadcast_gaps = 0;
};

/// Carries messages between one AgentState, one worker and the rebalancer. Holds no rules. One thread.
class AgentShell {
 public:
  using Observer = std::function<void(const wire::Note&)>;

  /// Connecting is lazy: a rebalancer that is not there yet is no error. Fails with kInvalidInput for an endpoint that
  /// cannot be read.
  [[nodiscard]] static Result<AgentShell> connect(shell::SocketContext& context, Connection connection,
                                                  AgentState state, ReplayWorker worker, Observer observer);

  /// Waits at most `timeout` for a message, takes up to 64, lets the worker route and sends what is due.
  void do_work(std::chrono::milliseconds timeout);

  [[nodiscard]] const AgentState& state() const { return state_; }
  [[nodiscard]] const ReplayWorker& worker() const { return worker_; }
  [[nodiscard]] const TrafficCounters& traffic() const { return traffic_; }

 private:
  AgentShell(Connection connection, AgentState state, ReplayWorker worker, Observer observer, shell::Socket dealer,
             shell::Socket subscriber);

  enum class Source { kDirect, kBroadcast };
  /// False where no message was waiting.
  [[nodiscard]] bool take_message(shell::Socket& socket, Source source);
  void notice_gap(std::uint64_t sequence, TimePoint now);
  void perform(const Actions& actions, TimePoint now);
  void send(const wire::Message& message);

  Connection connection_;
  AgentState state_;
  ReplayWorker worker_;
  Observer observer_;
  shell::Socket dealer_;
  shell::Socket subscriber_;
  std::uint64_t sent_ = 0;
  std::uint64_t broadcast_sequence_ = 0;
  TrafficCounters traffic_;
};

}  // namespace evenkeel::agent
