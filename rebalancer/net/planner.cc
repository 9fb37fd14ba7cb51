#include "rebalancer/net/planner.h"

#include <utility>

#include "partition/model/check.h"
#include "partition/place.h"

namespace evenkeel::rebalancer {
namespace {

PlanReady solve(const StartPlanning& job, const PlannerOptions& options) {
  PlaceOptions place_options;
  place_options.redundant = options.redundant;
  place_options.time = options.solve_time;
  const auto solution = place(job.profile, options.cluster, place_options);
  if (!solution) return {job.plan, tl::unexpected(solution.error()), 0};
  return {job.plan, solution->placement, solution->solve_seconds};
}

}  // namespace

void Planner::plan(StartPlanning job) {
  EVENKEEL_CHECK(!running_.valid(), "the core asks for one plan at a time");
  running_ = std::async(std::launch::async, [job = std::move(job), options = options_] { return solve(job, options); });
}

std::optional<PlanReady> Planner::take_finished() {
  if (!running_.valid() || running_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return std::nullopt;
  return running_.get();
}

}  // namespace evenkeel::rebalancer
