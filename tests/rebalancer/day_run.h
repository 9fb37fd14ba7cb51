#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

#include "partition/adaptive/imbalance.h"
#include "partition/adaptive/policy.h"
#include "partition/cost/metrics.h"
#include "partition/place.h"
#include "pipeline/trace/trace.h"

namespace evenkeel::rebalancer {

/// A recorded day cut at its windows.
struct Day {
  ModelShape shape;
  /// With the window's token paths.
  std::vector<RoutingProfile> windows;
  std::vector<std::uint64_t> tokens;
};

inline Day read_day(const std::filesystem::path& path) {
  const auto trace = read_trace(path);
  EXPECT_TRUE(trace) << trace.error().message;
  const auto& number = trace->window_of_sequence;
  std::vector<std::vector<std::size_t>> parts(std::ranges::max(number) + 1);
  for (std::size_t sequence = 0; sequence < number.size(); ++sequence) parts[number[sequence]].push_back(sequence);
  Day day{trace->shape, {}, {}};
  for (const auto& sequences : parts) {
    day.windows.push_back(profile_of(*trace, sequences));
    day.tokens.push_back(day.windows.back().paths.tokens());
  }
  return day;
}

/// What a day of serving came to.
struct DayResult {
  std::vector<double> imbalance;
  std::vector<DecisionRecord> decisions;
  std::size_t most_moves = 0;
  std::size_t moves = 0;
  std::size_t migrations = 0;
  double serving_seconds = 0;
  double migration_seconds = 0;

  [[nodiscard]] double seconds() const { return serving_seconds + migration_seconds; }
  [[nodiscard]] double mean_imbalance(std::size_t first) const {
    return std::accumulate(imbalance.begin() + static_cast<std::ptrdiff_t>(first), imbalance.end(), 0.0) /
           static_cast<double>(imbalance.size() - first);
  }
};

/// Called at the end of each window with the map that served it; the next map, if another.
using NextMap =
    std::function<std::optional<Placement>(std::size_t window, const Placement& running, DayResult& result)>;

/// Serves each window under the map made from those before it, beginning with the contiguous one. Migrations cost the
/// whole of their transfer time.
inline DayResult serve(const Day& day, const PolicyOptions& options, const NextMap& next_map) {
  const Cluster& cluster = options.cluster;
  Placement running = *contiguous_placement(day.shape.layer_ids, day.shape.experts, 0, cluster.gpus, cluster.nodes);
  DayResult result;
  for (std::size_t window = 0; window < day.windows.size(); ++window) {
    const auto metrics = measure(day.windows[window], running, cluster, options.step_time, Comm::kDispatch);
    EXPECT_TRUE(metrics);
    result.imbalance.push_back(metrics->imbalance_mean);
    result.serving_seconds += metrics->step_time_seconds * options.window_steps;
    const auto next = next_map(window, running, result);
    if (!next) continue;
    const auto plan = plan_migration(running, *next, cluster, {.spare = options.spare});
    EXPECT_TRUE(plan);
    result.moves += plan->moves;
    result.most_moves = std::max(result.most_moves, plan->moves);
    result.migrations += plan->moves > 0;
    result.migration_seconds += plan->time.count();
    running = *next;
  }
  return result;
}

/// The service's policy. Plans with work units, so that every machine decides the same.
inline DayResult serve_with_policy(const Day& day, const PolicyOptions& options, std::uint64_t work_units,
                                   std::uint64_t seed = 1) {
  Policy policy(options);
  return serve(day, options, [&](std::size_t window, const Placement& running, DayResult& result) {
    const auto request =
        policy.close({{"mixed", day.tokens[window], day.windows[window].windows.front().load_tokens}}, running);
    std::optional<Placement> next;
    if (request) {
      PlaceOptions place_options;
      place_options.effort.work_units = work_units;
      place_options.effort.seed = seed;
      place_options.problem.replan = Replan{running, request->moves_max};
      const auto solution = place(request->forecast, options.cluster, place_options);
      EXPECT_TRUE(solution) << solution.error().message;
      if (policy.judge(running, solution->placement)) next = solution->placement;
    }
    result.decisions.push_back(policy.record());
    return next;
  });
}

/// EPLB from scratch on what the last `every` windows counted, as engines do.
inline DayResult serve_with_eplb(const Day& day, const PolicyOptions& options, std::size_t every) {
  return serve(day, options, [&](std::size_t window, const Placement&, DayResult&) -> std::optional<Placement> {
    if ((window + 1) % every != 0) return std::nullopt;
    RoutingProfile seen{day.shape, {}, {}};
    for (std::size_t w = window + 1 - every; w <= window; ++w) seen.windows.push_back(day.windows[w].windows.front());
    PlaceOptions place_options;
    place_options.strategy = Strategy::kEplb;
    const auto solution = place(seen, options.cluster, place_options);
    EXPECT_TRUE(solution);
    return solution->placement;
  });
}

}  // namespace evenkeel::rebalancer
