#pragma once

#include <chrono>
#include <deque>
#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "rebalancer/core/actions.h"
#include "rebalancer/core/events.h"
#include "rebalancer/solver/solver_process.h"

namespace evenkeel::rebalancer {

struct PlannerOptions {
  /// Wall time of the search of one plan.
  std::chrono::duration<double> solve_time{1.0};
  SolverLimits limits;
  std::vector<std::string> command = solver_command();
};

/// Has plans made in a child process, one after the other, so that the loop that serves agents never waits for one and
/// no solver can end it. To be used by one thread. Its end is the end of the child that is running.
class Planner {
 public:
  explicit Planner(PlannerOptions options) : options_(std::move(options)) {}
  Planner(Planner&&) = default;
  Planner& operator=(Planner&&) = delete;
  ~Planner() { stop_.request_stop(); }

  /// Queues a job. A model has at most one: the core asks for one plan at a time.
  void plan(StartPlanning job);
  /// A finished plan, or nothing yet. Never blocks.
  [[nodiscard]] std::optional<PlanReady> take_finished();
  [[nodiscard]] bool is_busy() const { return running_.valid(); }

 private:
  void start_next();

  PlannerOptions options_;
  std::deque<StartPlanning> waiting_;
  std::stop_source stop_;
  std::future<PlanReady> running_;
};

}  // namespace evenkeel::rebalancer
