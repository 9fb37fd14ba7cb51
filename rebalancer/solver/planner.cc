#include "rebalancer/solver/planner.h"

#include <utility>

namespace evenkeel::rebalancer {
namespace {

PlanReady solve_job(StartPlanning job, const PlannerOptions& options, const std::stop_token& stop) {
  job.request.options.effort.time = options.solve_time;
  auto answer = solve_in_child(options.command, job.request, options.limits, stop);
  if (!answer) return {job.model, job.plan, tl::unexpected(answer.error()), 0};
  return {job.model, job.plan, std::move(answer->placement), answer->solve_seconds};
}

}  // namespace

void Planner::plan(StartPlanning job) {
  waiting_.push_back(std::move(job));
  start_next();
}

void Planner::start_next() {
  if (running_.valid() || waiting_.empty()) return;
  running_ = std::async(std::launch::async,
                        [job = std::move(waiting_.front()), options = options_, stop = stop_.get_token()]() mutable {
                          return solve_job(std::move(job), options, stop);
                        });
  waiting_.pop_front();
}

std::optional<PlanReady> Planner::take_finished() {
  if (!running_.valid() || running_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return std::nullopt;
  PlanReady plan = running_.get();
  start_next();
  return plan;
}

}  // namespace evenkeel::rebalancer
