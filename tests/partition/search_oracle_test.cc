// The search, made to work on instances that dynamic programming would solve, against brute force.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "partition/exact/exact_dp.h"
#include "partition/place.h"
#include "partition/problem/certificate.h"
#include "partition/search/balance.h"
#include "partition/strategies/staged.h"
#include "tests/partition/brute_force.h"
#include "tests/partition/searching.h"
#include "tests/partition/validity.h"

namespace evenkeel::search_oracle_test {
namespace {

using testing::BruteForce;
using testing::small_case;
using testing::SmallCase;
using testing::SmallShape;

constexpr std::uint64_t kCases = 300;
constexpr std::uint64_t kWorkUnits = 300'000;
constexpr std::array<double, 4> kSlackRatios{0.0, 0.02, 0.05, 0.2};

/// Layers, experts, GPUs, nodes, redundant slots.
constexpr std::array<SmallShape, 14> kShapes{{{2, 4, 2, 1},
                                              {3, 4, 2, 2},
                                              {4, 4, 2, 1},
                                              {3, 4, 4, 2},
                                              {4, 6, 2, 1},
                                              {3, 6, 2, 2},
                                              {2, 6, 3, 1},
                                              {3, 6, 3, 3},
                                              {3, 6, 3, 1},
                                              {4, 4, 2, 1, 2},
                                              {3, 4, 2, 2, 2},
                                              {3, 5, 2, 1, 1},
                                              {3, 5, 3, 1, 1},
                                              {2, 4, 4, 2, 4}}};

PlaceOptions options_of(const SmallCase& small, double slack_ratio) {
  PlaceOptions options;
  options.problem.objective = small.instance.objective;
  options.problem.redundant = small.instance.items() - small.instance.experts;
  options.problem.load_slack_ratio = slack_ratio;
  options.effort.work_units = kWorkUnits;
  options.effort.threads = 1;
  return options;
}

double peak_weight(const Instance& instance) { return instance.objective.weighted ? 1.0 : 0.0; }

/// What is minimised, from the instance.
double cost(const Instance& instance, const Assignment& assignment) {
  return communication(instance, assignment) + peak_weight(instance) * testing::peak_sum(instance, assignment);
}

std::vector<std::int64_t> least_largest_loads(const BruteForce& brute, const Instance& instance) {
  std::vector<std::int64_t> least;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) least.push_back(brute.least_largest_load(layer));
  return least;
}

/// No limit in the weighted sum, else the least possible largest loads and the slack.
std::vector<std::int64_t> caps_of(const BruteForce& brute, const Instance& instance, double slack_ratio) {
  if (instance.objective.weighted) return std::vector(instance.layers(), std::numeric_limits<std::int64_t>::max());
  return testing::with_slack(least_largest_loads(brute, instance), slack_ratio);
}

/// The stages as for an instance that is too large to be solved exactly.
Assignment search(const SmallCase& small, const PlaceOptions& options) {
  const auto problem = Problem::create(small.profile, small.cluster, options.problem);
  Run run(options.effort, options.diagnostics, {});
  run.begin_budget();
  Workbench bench(*problem, small.instance, run, problem->load_bound_units());
  bench.pack();
  bench.balance();
  search_communication(bench);
  return bench.best();
}

/// Gaps of the search to the optimum over all cases.
struct Gaps {
  double worst = 0;
  std::uint64_t worst_seed = 0;
  int beyond_half_percent = 0;

  void add(double gap, std::uint64_t seed) {
    beyond_half_percent += gap > 0.005 ? 1 : 0;
    if (gap <= worst) return;
    worst = gap;
    worst_seed = seed;
  }
};

/// Every one of the cases: no bound above the optimum, the exact solver at it and the search close to it.
void expect_close_to_brute_force(const Objective& objective) {
  Gaps gaps;
  for (std::uint64_t seed = 0; seed < kCases; ++seed) {
    SCOPED_TRACE(seed);
    const SmallCase small = small_case(kShapes[seed % kShapes.size()], objective, seed);
    const Instance& instance = small.instance;
    const PlaceOptions options = options_of(small, kSlackRatios[seed % kSlackRatios.size()]);
    const BruteForce brute(small);
    const auto caps = caps_of(brute, instance, options.problem.load_slack_ratio);
    const auto optimum = brute.best(caps, peak_weight(instance));
    ASSERT_TRUE(optimum);
    const double least = cost(instance, optimum->assignment);

    const auto solution = place(small.profile, small.cluster, options);
    ASSERT_TRUE(solution) << solution.error().message;
    if (exact_dp_fits(instance)) {
      EXPECT_EQ(solution->status, SolveStatus::kOptimal);
      EXPECT_NEAR(solution->certificate.value, least, 1e-5);
      EXPECT_NEAR(*solution->certificate.bound, least, 1e-5);
    }
    PlaceOptions baseline = options;
    baseline.strategy = Strategy::kContiguous;
    const auto bound = place(small.profile, small.cluster, baseline)->certificate.bound;
    EXPECT_EQ(bound.has_value(), objective.comm == Comm::kResident);
    EXPECT_LE(bound.value_or(0.0), least + 1e-5);

    const Assignment found = search(small, options);
    ASSERT_TRUE(testing::is_valid(instance, found));
    EXPECT_TRUE(testing::is_within(instance, found, caps));
    EXPECT_GE(cost(instance, found), least - 1e-5);
    gaps.add(least > 1e-9 ? cost(instance, found) / least - 1.0 : cost(instance, found), seed);
  }
  EXPECT_EQ(gaps.beyond_half_percent, 0) << "worst " << gaps.worst << " at seed " << gaps.worst_seed;
}

TEST(SearchOracle, is_close_to_the_least_weighted_sum) { expect_close_to_brute_force(testing::weighted(0.25, 1.0)); }

TEST(SearchOracle, is_close_to_the_least_resident_communication_within_the_slack) { expect_close_to_brute_force({}); }

TEST(SearchOracle, is_close_to_the_least_dispatch_within_the_slack) {
  expect_close_to_brute_force(testing::dispatch());
}

}  // namespace
}  // namespace evenkeel::search_oracle_test
