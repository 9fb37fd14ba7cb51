#include "partition/cost/bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "partition/foundation/random.h"

namespace evenkeel::bounds_test {
namespace {

using Loads = std::vector<std::int64_t>;

/// Least largest load over all ways to give each GPU `slots` experts.
std::int64_t brute_force(const Loads& load, std::size_t gpus, std::size_t slots) {
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  Loads on_gpu(gpus, 0);
  std::vector<std::size_t> count(gpus, 0);
  const std::function<void(std::size_t)> place = [&](std::size_t expert) {
    if (expert == load.size()) {
      best = std::min(best, *std::max_element(on_gpu.begin(), on_gpu.end()));
      return;
    }
    for (std::size_t gpu = 0; gpu < gpus; ++gpu) {
      if (count[gpu] == slots) continue;
      ++count[gpu];
      on_gpu[gpu] += load[expert];
      if (on_gpu[gpu] < best) place(expert + 1);
      --count[gpu];
      on_gpu[gpu] -= load[expert];
      if (count[gpu] == 0) break;  // empty GPUs are alike
    }
  };
  place(0);
  return best;
}

TEST(LoadBound, never_exceeds_the_optimum_on_300_small_instances) {
  int tight = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed, 0);
    const std::size_t gpus = 2 + random.below(3);
    const std::size_t slots = 1 + random.below(gpus == 2 ? 5 : gpus == 3 ? 3 : 2);
    Loads load(gpus * slots);
    for (auto& tokens : load) {
      const std::int64_t draw = 1 + random.below(1000);
      tokens = random.below(3) == 0 ? draw * draw / 100 : draw;
    }
    const std::int64_t bound = load_bound_single_copy(load, gpus, slots);
    const std::int64_t optimum = brute_force(load, gpus, slots);
    ASSERT_LE(bound, optimum) << "seed " << seed;
    tight += bound * 100 >= optimum * 95 ? 1 : 0;
  }
  EXPECT_GT(tight, 150) << "a bound this loose bounds nothing";
}

TEST(LoadBound, sees_that_the_hottest_expert_has_company) {
  EXPECT_EQ(load_bound_single_copy(Loads{100, 3, 2, 1}, 2, 2), 101);
}

TEST(LoadBound, with_replicas_is_the_best_of_all_copy_vectors) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed, 1);
    Loads load(3);
    for (auto& tokens : load) tokens = 1 + random.below(1000);
    const std::size_t redundant = 1 + random.below(3);
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t a = 0; a <= redundant; ++a) {
      for (std::size_t b = 0; a + b <= redundant; ++b) {
        const std::size_t copies[] = {1 + a, 1 + b, 1 + redundant - a - b};
        double largest = 0;
        for (std::size_t e = 0; e < 3; ++e) {
          largest = std::max(largest, static_cast<double>(load[e]) / static_cast<double>(copies[e]));
        }
        best = std::min(best, largest);
      }
    }
    const double mean = static_cast<double>(std::accumulate(load.begin(), load.end(), std::int64_t{0})) / 6;
    EXPECT_DOUBLE_EQ(load_bound_replicated(load, 6, redundant), std::max(mean, best)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace evenkeel::bounds_test
