#include "partition/baseline/moetuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "partition/baseline/cluster_instance.h"
#include "tests/partition/cluster_maps.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/validity.h"

namespace evenkeel::moetuner_test {
namespace {

constexpr std::uint64_t kPlenty = 100'000'000'000;

RoutingProfile random_loads(std::size_t layers, std::size_t experts, std::uint64_t seed) {
  Random random(seed, 7);
  std::vector<std::vector<std::uint64_t>> rows(layers, std::vector<std::uint64_t>(experts));
  for (auto& row : rows) {
    for (auto& load : row) load = 1 + random.below(1000);
  }
  return testing::loads_profile(rows);
}

/// Sum over GPUs of |load - mean|: the first program's objective, in load units.
double deviation(const Instance& instance, const Assignment& assignment, std::size_t layer) {
  const auto load = gpu_load_units(instance, assignment, layer);
  const double mean = std::accumulate(load.begin(), load.end(), 0.0) / static_cast<double>(load.size());
  double sum = 0;
  for (const std::int64_t units : load) sum += std::abs(static_cast<double>(units) - mean);
  return sum;
}

double least_deviation(const Instance& instance, std::size_t layer) {
  Assignment assignment(instance.layers(), instance.items());
  const auto row = assignment[layer];
  for (std::size_t item = 0; item < instance.items(); ++item)
    row[item] = static_cast<GpuIndex>(item / instance.slots_per_gpu());
  double best = std::numeric_limits<double>::infinity();
  do {
    best = std::min(best, deviation(instance, assignment, layer));
  } while (std::next_permutation(row.begin(), row.end()));
  return best;
}

TEST(Moetuner, levels_loads_like_brute_force) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto instance = make_instance(random_loads(2, 6, seed), {.gpus = 3, .nodes = 1}, 0);
    Budget budget = Budget::work(kPlenty);
    const MoetunerResult result = moetuner_assignment(*instance, budget, {.gap_ratio = 0});
    ASSERT_TRUE(result.assignment && result.finished);
    ASSERT_TRUE(testing::is_valid(*instance, *result.assignment));
    for (std::size_t layer = 0; layer < 2; ++layer) {
      const double least = least_deviation(*instance, layer);
      EXPECT_NEAR(deviation(*instance, *result.assignment, layer), least, 1e-6 * least + 1) << "seed " << seed;
    }
  }
}

TEST(Moetuner, ends_within_its_gap_of_the_best) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto instance = make_instance(random_loads(1, 8, seed), {.gpus = 4, .nodes = 1}, 0);
    Budget budget = Budget::work(kPlenty);
    const MoetunerResult result = moetuner_assignment(*instance, budget);
    ASSERT_TRUE(result.assignment && result.finished);
    // The gap is relative to the value found.
    EXPECT_LE(deviation(*instance, *result.assignment, 0) * (1 - 0.0251), least_deviation(*instance, 0)) << seed;
  }
}

TEST(Moetuner, maps_clusters_to_gpus_like_brute_force) {
  for (const std::size_t nodes : {1U, 2U, 4U}) {
    const auto instance =
        make_instance(testing::structured_profile({3, 8, 2, 400}, nodes), {.gpus = 4, .nodes = nodes}, 0);
    Budget budget = Budget::work(kPlenty);
    const MoetunerResult result = moetuner_assignment(*instance, budget, {.gap_ratio = 0});
    ASSERT_TRUE(result.assignment && result.finished) << nodes << " nodes";
    const Instance clusters = cluster_instance(*instance, *result.assignment);
    EXPECT_NEAR(communication(*instance, *result.assignment), testing::least_communication(clusters), 1e-5)
        << nodes << " nodes";
  }
}

TEST(Moetuner, keeps_copies_of_an_expert_apart) {
  const auto instance = make_instance(testing::structured_profile({3, 6, 2, 400}, 1), {.gpus = 4, .nodes = 2}, 2);
  Budget budget = Budget::work(kPlenty);
  const MoetunerResult result = moetuner_assignment(*instance, budget);
  ASSERT_TRUE(result.assignment);
  EXPECT_TRUE(testing::is_valid(*instance, *result.assignment));
}

TEST(Moetuner, is_the_same_for_the_same_work) {
  const auto instance = make_instance(testing::structured_profile({4, 16, 2, 400}, 1), {.gpus = 4, .nodes = 2}, 0);
  Budget first = Budget::work(40'000'000);
  Budget second = Budget::work(40'000'000);
  const MoetunerResult result = moetuner_assignment(*instance, first);
  ASSERT_TRUE(result.assignment);
  EXPECT_EQ(result.assignment, moetuner_assignment(*instance, second).assignment);
}

TEST(Moetuner, says_that_it_did_not_finish_without_a_budget) {
  const auto instance = make_instance(testing::structured_profile({4, 16, 2, 400}, 1), {.gpus = 4, .nodes = 1}, 0);
  Budget no_time = Budget::wall(std::chrono::seconds(0));
  Budget no_work = Budget::work(0);
  for (Budget* budget : {&no_time, &no_work}) {
    const MoetunerResult result = moetuner_assignment(*instance, *budget);
    EXPECT_FALSE(result.assignment);
    EXPECT_FALSE(result.finished);
  }
}

TEST(Moetuner, does_not_begin_what_glpk_cannot_end) {
  const auto instance = make_instance(testing::structured_profile({20, 64, 2, 400}, 1), {.gpus = 32, .nodes = 4}, 0);
  Budget budget = Budget::wall(std::chrono::seconds(100));
  const MoetunerResult result = moetuner_assignment(*instance, budget);
  EXPECT_FALSE(result.assignment);
  EXPECT_FALSE(result.finished);
  EXPECT_LT(budget.elapsed().count(), 0.5);
}

/// At most 1.1 times the time and 0.3 s.
void expect_in_time(const Instance& instance, double seconds) {
  Budget budget = Budget::wall(std::chrono::duration<double>(seconds));
  const MoetunerResult result = moetuner_assignment(instance, budget);
  EXPECT_FALSE(result.finished);
  EXPECT_LT(budget.elapsed().count(), 1.1 * seconds + 0.3);
}

TEST(Moetuner, keeps_to_its_time) {
  const auto loads = make_instance(random_loads(58, 256, 1), {.gpus = 32, .nodes = 4}, 0);
  const auto fewer_loads = make_instance(random_loads(4, 256, 1), {.gpus = 8, .nodes = 1}, 0);
  const auto traffic = make_instance(testing::structured_profile({6, 128, 4, 1000}, 1), {.gpus = 8, .nodes = 2}, 0);
  for (const double seconds : {0.02, 0.3}) {
    expect_in_time(*loads, seconds);
    expect_in_time(*fewer_loads, seconds);
    expect_in_time(*traffic, seconds);
  }
}

}  // namespace
}  // namespace evenkeel::moetuner_test
