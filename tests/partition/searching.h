#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/problem/load_goal.h"
#include "partition/search/balance.h"
#include "partition/warmstart/lpt.h"
#include "tests/partition/starts.h"

namespace evenkeel::testing {

/// A budget in work units and the slice that is all of it.
struct WorkSlice {
  explicit WorkSlice(std::uint64_t units = 1'000'000'000) : budget(Budget::work(units)), slice(budget, 1.0) {}

  Budget budget;
  BudgetSlice slice;
};

inline Objective weighted(double other_gpu, double other_node) {
  Objective objective;
  objective.weighted = CommWeights{other_gpu, other_node};
  return objective;
}

inline Objective dispatch() {
  Objective objective;
  objective.comm = Comm::kDispatch;
  return objective;
}

/// LPT and the balancing of loads, towards no bound.
inline Assignment balanced(const Instance& instance) {
  Assignment assignment = lpt_assignment(instance);
  WorkSlice work(2'000'000);
  balance_loads(instance, std::vector<std::int64_t>(instance.layers(), 0), work.slice, 1, 1, assignment);
  return assignment;
}

/// Loads so much above others, whole units.
inline std::vector<std::int64_t> with_slack(std::vector<std::int64_t> units, double slack_ratio) {
  for (std::int64_t& load : units) {
    const long double cap = static_cast<long double>(load) * (1.0L + static_cast<long double>(slack_ratio));
    load = static_cast<std::int64_t>(std::floor(cap));
  }
  return units;
}

/// Sum over loaded layers of max / mean load.
inline double peak_sum(const Instance& instance, const Assignment& assignment) {
  double sum = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const auto load = gpu_load_units(instance, assignment, layer);
    const auto total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
    if (total > 0)
      sum +=
          static_cast<double>(std::ranges::max(load)) * static_cast<double>(load.size()) / static_cast<double>(total);
  }
  return sum;
}

/// Whether no GPU is beyond its layer's cap.
inline bool is_within(const Instance& instance, const Assignment& assignment, const std::vector<std::int64_t>& caps) {
  return std::ranges::equal(largest_loads(instance, assignment), caps, std::less_equal<>());
}

}  // namespace evenkeel::testing
