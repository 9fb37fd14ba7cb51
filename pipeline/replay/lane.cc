#include "pipeline/replay/lane.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "partition/cost/metrics.h"
#include "partition/migrate/plan.h"

namespace evenkeel {

double LaneResult::imbalance_mean() const {
  return std::accumulate(windows.begin(), windows.end(), 0.0,
                         [](double sum, const ServedWindow& window) { return sum + window.imbalance; }) /
         static_cast<double>(windows.size());
}

double LaneResult::step_seconds_mean() const {
  return std::accumulate(windows.begin(), windows.end(), 0.0,
                         [](double sum, const ServedWindow& window) { return sum + window.step_seconds; }) /
         static_cast<double>(windows.size());
}

double LaneResult::step_seconds_tail() const {
  std::vector<double> seconds;
  for (const ServedWindow& window : windows) seconds.push_back(window.step_seconds);
  std::ranges::sort(seconds);
  // The nearest rank of 0.99, in whole numbers.
  return seconds[(99 * seconds.size() + 99) / 100 - 1];
}

double LaneResult::throughput(const PolicyOptions& options) const {
  const double steps = options.window_steps * static_cast<double>(windows.size());
  return steps * static_cast<double>(options.step_time.batch_tokens) / seconds();
}

Lane::Lane(std::unique_ptr<Rebalancing> rebalancing, const ReplayOptions& options)
    : rebalancing_(std::move(rebalancing)), options_(options), running_(options.start) {
  result_.policy = rebalancing_->name();
}

Status Lane::serve(const RoutingProfile& window) {
  const Cluster& cluster = options_.policy.cluster;
  if (!running_) {
    EVENKEEL_TRY(contiguous, contiguous_placement(window.shape.layer_ids, window.shape.experts, options_.redundant,
                                                  cluster.gpus, cluster.nodes));
    running_ = std::move(contiguous);
  }
  if (const auto next = std::exchange(next_, std::nullopt)) EVENKEEL_TRY_STATUS(migrate(*next));
  EVENKEEL_TRY(hindsight, rebalancing_->before(window));
  if (hindsight) running_ = std::move(*hindsight);
  EVENKEEL_TRY(metrics, measure(window, *running_, cluster, options_.policy.step_time, options_.comm));
  result_.windows.push_back({metrics.imbalance_mean, metrics.step_time_seconds});
  if (!result_.first) result_.first = running_;
  result_.serving_seconds += metrics.step_time_seconds * options_.policy.window_steps;
  if (metrics.busiest_gpu_bytes) {
    traffic_bytes_ += *metrics.busiest_gpu_bytes;
    result_.busiest_gpu_bytes = traffic_bytes_ / static_cast<double>(result_.windows.size());
  }
  result_.last = running_;
  EVENKEEL_TRY(next, rebalancing_->after(window, *running_));
  next_ = std::move(next);
  result_.plans_missed = rebalancing_->plans_missed();
  return {};
}

Status Lane::migrate(const Placement& next) {
  const PlanOptions plan_options{.spare = options_.policy.spare,
                                 .expert_bytes = options_.policy.step_time.expert_bytes};
  EVENKEEL_TRY(plan, plan_migration(*running_, next, options_.policy.cluster, plan_options));
  running_ = next;
  if (plan.moves == 0) return {};
  const double stall_seconds = options_.policy.stall_ratio * plan.time.count();
  result_.epochs.push_back({result_.windows.size() - 1, rebalancing_->reason(), plan.moves, stall_seconds});
  result_.moves += plan.moves;
  result_.moved_bytes += plan.intra_node_bytes + plan.inter_node_bytes;
  result_.stall_seconds += stall_seconds;
  return {};
}

}  // namespace evenkeel
