#include "partition/search/balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "partition/problem/certificate.h"
#include "partition/warmstart/lpt.h"
#include "tests/partition/brute_force.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"
#include "tests/partition/validity.h"

namespace evenkeel::balance_test {
namespace {

using testing::BruteForce;
using testing::is_valid;
using testing::SmallCase;
using testing::SmallShape;

/// Uneven loads without paths.
SmallCase loads_case(const SmallShape& shape, std::uint64_t seed) {
  Random random(seed, 6);
  SmallCase result{testing::loads_profile(testing::uneven_rows(shape.layers, shape.experts, random)), {}, {}};
  result.cluster.gpus = shape.gpus;
  result.cluster.nodes = shape.nodes;
  result.instance = *make_instance(result.profile, result.cluster, shape.redundant);
  return result;
}

std::vector<std::int64_t> bounds_of(const SmallCase& small, std::size_t redundant) {
  std::vector<std::int64_t> units;
  for (const double tokens : load_bounds(small.profile, small.cluster.gpus, redundant))
    units.push_back(static_cast<std::int64_t>(tokens * static_cast<double>(kLoadUnitsPerToken)));
  return units;
}

Assignment balance(const Instance& instance, const std::vector<std::int64_t>& bounds, std::uint64_t units,
                   std::size_t threads = 1) {
  Assignment assignment = lpt_assignment(instance);
  testing::WorkSlice work(units);
  balance_loads(instance, bounds, work.slice, 1, threads, assignment);
  return assignment;
}

TEST(Balance, reaches_the_least_largest_load_of_small_layers) {
  constexpr std::array<SmallShape, 6> shapes{
      {{2, 6, 2, 1}, {2, 8, 2, 1}, {2, 9, 3, 1}, {2, 8, 4, 2}, {2, 6, 2, 1, 2}, {2, 7, 3, 1, 2}}};
  int above_lpt = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const SmallShape& shape = shapes[seed % shapes.size()];
    const SmallCase small = loads_case(shape, seed);
    const Assignment found = balance(small.instance, bounds_of(small, shape.redundant), 2'000'000);
    ASSERT_TRUE(is_valid(small.instance, found));
    const auto largest = largest_loads(small.instance, found);
    const auto of_lpt = largest_loads(small.instance, lpt_assignment(small.instance));
    const BruteForce brute(small);
    for (std::size_t layer = 0; layer < shape.layers; ++layer) {
      const auto least = static_cast<double>(brute.least_largest_load(layer));
      EXPECT_GE(static_cast<double>(largest[layer]), least);
      // So close to its bound a load is not improved any more.
      EXPECT_LE(static_cast<double>(largest[layer]), least * (1 + 1e-6));
      above_lpt += of_lpt[layer] > largest[layer] ? 1 : 0;
    }
  }
  EXPECT_GT(above_lpt, 5) << "cases that LPT alone solves show nothing";
}

TEST(Balance, is_never_above_lpt_and_keeps_replicas_on_distinct_gpus) {
  constexpr std::array<SmallShape, 4> shapes{{{3, 32, 4, 1}, {3, 40, 8, 2, 8}, {3, 16, 8, 1, 16}, {2, 64, 16, 2, 32}}};
  for (const SmallShape& shape : shapes) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const SmallCase small = loads_case(shape, seed);
      const auto bounds = bounds_of(small, shape.redundant);
      const auto of_lpt = largest_loads(small.instance, lpt_assignment(small.instance));
      for (const std::uint64_t units : {1ULL, 5'000ULL, 1'000'000ULL}) {
        const Assignment found = balance(small.instance, bounds, units);
        EXPECT_TRUE(is_valid(small.instance, found));
        const auto largest = largest_loads(small.instance, found);
        for (std::size_t layer = 0; layer < shape.layers; ++layer) {
          EXPECT_LE(largest[layer], of_lpt[layer]) << units << " units";
          EXPECT_GE(largest[layer], bounds[layer]);
        }
      }
    }
  }
}

TEST(Balance, leaves_its_start_without_a_budget) {
  const SmallCase small = loads_case({3, 32, 4, 1}, 1);
  EXPECT_EQ(balance(small.instance, bounds_of(small, 0), 0), lpt_assignment(small.instance));
  EXPECT_NE(balance(small.instance, bounds_of(small, 0), 1'000'000), lpt_assignment(small.instance));
}

TEST(Balance, is_the_same_for_one_thread_and_two) {
  const SmallCase small = loads_case({6, 40, 8, 1, 8}, 2);
  const auto bounds = bounds_of(small, 8);
  EXPECT_EQ(balance(small.instance, bounds, 500'000, 1), balance(small.instance, bounds, 500'000, 2));
}

TEST(Balance, takes_a_layer_without_load) {
  const Instance instance =
      *make_instance(testing::loads_profile({{0, 0, 0, 0}, {9, 5, 3, 1}}), {.gpus = 2, .nodes = 1}, 0);
  const Assignment found = balance(instance, {0, 0}, 100'000);
  EXPECT_TRUE(is_valid(instance, found));
  EXPECT_EQ(largest_loads(instance, found), (std::vector<std::int64_t>{0, 10 * kLoadUnitsPerToken}));
}

}  // namespace
}  // namespace evenkeel::balance_test
