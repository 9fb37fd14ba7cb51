#pragma once

#include <chrono>
#include <cstddef>
#include <future>
#include <optional>

#include "partition/model/cluster.h"
#include "rebalancer/core/core.h"

namespace evenkeel::rebalancer {

struct PlannerOptions {
  Cluster cluster;
  std::size_t redundant = 0;
  /// Wall time of one solve.
  std::chrono::duration<double> solve_time{1.0};
};

/// Runs the solver on a thread of its own, so that the loop that serves agents never waits for it. One plan at a time.
/// To be used by one thread. Its end waits for the solve that is running.
class Planner {
 public:
  explicit Planner(PlannerOptions options) : options_(options) {}

  void plan(StartPlanning job);
  /// A finished plan, or nothing yet. Never blocks.
  [[nodiscard]] std::optional<PlanReady> take_finished();

 private:
  PlannerOptions options_;
  std::future<PlanReady> running_;
};

}  // namespace evenkeel::rebalancer
