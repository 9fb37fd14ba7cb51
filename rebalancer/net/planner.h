#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>

#include "agents/shell/zmq_adapter.h"
#include "partition/model/cluster.h"
#include "partition/model/result.h"
#include "rebalancer/core/core.h"

namespace evenkeel::rebalancer {

struct PlannerOptions {
  Cluster cluster;
  std::size_t redundant = 0;
  /// Wall time of one solve.
  std::chrono::duration<double> solve_time{1.0};
};

/// Runs the solver on a thread of its own, so that the loop that serves agents never waits for it. Jobs and answers
/// pass over an inproc pair. To be used by one thread, the one that made it.
class Planner {
 public:
  /// Fails with kFailure where the pair cannot be made.
  [[nodiscard]] static Result<Planner> start(shell::SocketContext& context, PlannerOptions options);

  Planner(Planner&&) noexcept;
  Planner& operator=(Planner&&) = delete;
  /// Waits for the solve that is running.
  ~Planner();

  void plan(StartPlanning job);
  /// A finished plan, or nothing yet. Never blocks.
  [[nodiscard]] std::optional<PlanReady> take_finished();
  /// Has something to read when a plan is finished.
  [[nodiscard]] shell::Socket& socket() { return *socket_; }

 private:
  Planner(std::unique_ptr<shell::Socket> socket, std::thread thread);

  std::unique_ptr<shell::Socket> socket_;
  std::thread thread_;
};

}  // namespace evenkeel::rebalancer
