#include "partition/strategies/unequal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <set>

#include "partition/cost/copy_cost.h"
#include "partition/cost/metrics.h"
#include "partition/cost/unequal_bound.h"
#include "partition/foundation/random.h"
#include "partition/model/migration.h"
#include "partition/place.h"
#include "partition/strategies/few_moves.h"
#include "tests/partition/fixtures.h"

namespace evenkeel::unequal_test {
namespace {

RoutingProfile random_loads(std::size_t layers, std::size_t experts, std::uint64_t seed) {
  Random random(seed, 3);
  return testing::loads_profile(testing::uneven_rows(layers, experts, random));
}

Cluster cluster_of(std::vector<double> speeds, std::vector<std::uint32_t> slots) {
  Cluster cluster;
  cluster.gpus = std::max(speeds.size(), slots.size());
  cluster.speeds = std::move(speeds);
  cluster.slots = std::move(slots);
  return cluster;
}

PlaceOptions options_of(const Cluster& cluster, std::size_t experts, std::uint64_t units = 300'000) {
  PlaceOptions options;
  options.effort.work_units = units;
  if (!cluster.slots.empty()) options.problem.redundant = cluster.slots_in_all() - experts;
  return options;
}

/// Calls `look` with every way to fill the slots of one layer that is a valid placement.
void for_each_placement(const Cluster& cluster, std::size_t experts,
                        const std::function<void(const std::vector<std::vector<std::size_t>>&)>& look) {
  std::vector<std::vector<std::size_t>> hosted(cluster.gpus);
  const std::function<void(std::size_t, std::size_t)> fill = [&](std::size_t gpu, std::size_t from) {
    if (gpu == cluster.gpus) {
      std::set<std::size_t> placed;
      for (const auto& on : hosted) placed.insert(on.begin(), on.end());
      if (placed.size() == experts) look(hosted);
      return;
    }
    if (hosted[gpu].size() == cluster.slots[gpu]) return fill(gpu + 1, 0);
    for (std::size_t expert = from; expert < experts; ++expert) {
      hosted[gpu].push_back(expert);
      fill(gpu, expert + 1);
      hosted[gpu].pop_back();
    }
  };
  fill(0, 0);
}

struct SmallCase {
  std::vector<double> speeds;
  std::vector<std::uint32_t> slots;
  std::size_t experts;
  bool is_time;
};

class SmallUnequal : public ::testing::TestWithParam<SmallCase> {};

TEST_P(SmallUnequal, bound_and_search_meet_the_best_of_all_placements) {
  // Not taken apart by a structured binding: clang 14 lets no lambda capture one.
  const SmallCase& small = GetParam();
  const std::vector<double>& speeds = small.speeds;
  const std::size_t experts = small.experts;
  const Cluster cluster = cluster_of(speeds, small.slots);
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const RoutingProfile profile = random_loads(1, experts, seed);
    PlaceOptions options = options_of(cluster, experts);
    if (small.is_time) options.problem.time_model = StepTimeModel{.batch_tokens = 16};
    const std::size_t copies_max = std::min(cluster.gpus, options.problem.redundant + 1);
    const auto costs = copy_costs(profile, copies_max, options.problem.time_model).front();
    double best = std::numeric_limits<double>::infinity();
    for_each_placement(cluster, experts, [&](const std::vector<std::vector<std::size_t>>& hosted) {
      std::vector<std::size_t> copies(experts, 0);
      for (const auto& on : hosted) {
        for (const std::size_t expert : on) ++copies[expert];
      }
      double largest = 0;
      for (std::size_t gpu = 0; gpu < hosted.size(); ++gpu) {
        double cost = 0;
        for (const std::size_t expert : hosted[gpu]) cost += static_cast<double>(costs(expert, copies[expert] - 1));
        largest = std::max(largest, cost / speeds[gpu]);
      }
      best = std::min(best, largest);
    });
    const double bound = unequal_bound(costs, small.slots, speeds, true);
    EXPECT_LE(bound, best * (1 + 1e-9)) << "seed " << seed;
    EXPECT_GE(bound, 0.5 * best) << "seed " << seed;

    const auto solution = place(profile, cluster, options);
    ASSERT_TRUE(solution) << solution.error().message;
    const double ideal = std::accumulate(costs.cells().begin(), costs.cells().end(), 0.0);
    EXPECT_GT(ideal, 0);
    std::vector<double> cost_of_gpu(cluster.gpus, 0);
    const auto row = solution->placement.row(LayerId(0));
    std::vector<std::size_t> copies(experts, 0);
    for (const ExpertIndex expert : row) ++copies[expert];
    for (std::size_t slot = 0; slot < row.size(); ++slot) {
      const std::size_t gpu = solution->placement.gpu_of(SlotId(slot)).index();
      cost_of_gpu[gpu] += static_cast<double>(costs(row[slot], copies[row[slot]] - 1)) / speeds[gpu];
    }
    EXPECT_LE(std::ranges::max(cost_of_gpu), best * 1.0001) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, SmallUnequal,
    ::testing::Values(SmallCase{{1, 0.5, 0.25}, {3, 2, 1}, 6, false}, SmallCase{{1, 1, 0.5}, {2, 2, 3}, 6, false},
                      SmallCase{{1, 0.5, 1}, {2, 3, 2}, 5, false}, SmallCase{{1, 0.5}, {4, 3}, 7, true},
                      SmallCase{{2, 1, 1}, {3, 2, 2}, 5, true}, SmallCase{{1, 1, 1}, {4, 2, 1}, 5, false}));

TEST(UnequalGpus, with_equal_speeds_give_the_same_answer_as_before) {
  const RoutingProfile profile = random_loads(3, 16, 5);
  Cluster cluster;
  cluster.gpus = 4;
  for (const std::size_t redundant : {0U, 4U}) {
    PlaceOptions options = options_of(cluster, 16);
    options.problem.redundant = redundant;
    const auto plain = place(profile, cluster, options);
    ASSERT_TRUE(plain) << plain.error().message;
    Cluster stated = cluster;
    stated.speeds.assign(4, 0.5);
    stated.slots.assign(4, static_cast<std::uint32_t>((16 + redundant) / 4));
    const auto same = place(profile, stated, options);
    ASSERT_TRUE(same) << same.error().message;
    EXPECT_EQ(same->placement, plain->placement);
  }
}

TEST(UnequalGpus, get_load_by_their_speed) {
  const RoutingProfile profile = random_loads(4, 64, 2);
  const Cluster cluster = cluster_of({1, 1, 0.5, 0.5}, {});
  const auto solution = place(profile, cluster, options_of(cluster, 64, 2'000'000));
  ASSERT_TRUE(solution) << solution.error().message;
  ASSERT_TRUE(solution->certificate.gap);
  EXPECT_LT(*solution->certificate.gap, 0.01);
  const Grid<double> load = gpu_load_tokens(profile.total_load(), solution->placement);
  EXPECT_GT(load(0, 0), 1.5 * load(0, 3));
}

TEST(UnequalGpus, time_with_touched_experts_spreads_cold_experts) {
  // Two hot experts and six cold ones that cost as much as they when the batch is small: touching is what takes time.
  const RoutingProfile profile = testing::loads_profile({{100, 100, 5, 5, 5, 5, 5, 5}});
  const Cluster cluster = cluster_of({1, 1}, {5, 5});
  PlaceOptions options = options_of(cluster, 8);
  options.problem.time_model = StepTimeModel{.batch_tokens = 4096};
  const auto solution = place(profile, cluster, options);
  ASSERT_TRUE(solution) << solution.error().message;
  EXPECT_TRUE(solution->certificate.step_time_bound);
  const auto metrics = measure(profile, solution->placement, cluster, *options.problem.time_model, Comm::kDispatch);
  ASSERT_TRUE(metrics);
  EXPECT_GE(metrics->step_time_seconds, solution->certificate.step_time_bound->count() * (1 - 1e-9));
  EXPECT_LE(metrics->step_time_seconds, solution->certificate.step_time_bound->count() * 1.2);
}

TEST(LostGpu, is_made_up_for_by_as_few_moves_as_it_held_the_only_copies) {
  const RoutingProfile profile = random_loads(5, 32, 9);
  Cluster cluster;
  cluster.gpus = 8;
  PlaceOptions options = options_of(cluster, 32);
  options.problem.redundant = 8;
  const auto before = place(profile, cluster, options);
  ASSERT_TRUE(before) << before.error().message;
  std::size_t alone = 0;
  for (std::size_t layer = 0; layer < 5; ++layer) {
    for (const ExpertIndex expert : before->placement.hosted(LayerId(layer), GpuId(3)))
      alone += std::ranges::count(before->placement.row(LayerId(layer)), expert) == 1 ? 1U : 0U;
  }
  ASSERT_GT(alone, 0U);
  cluster.slots.assign(8, 5);
  cluster.slots[3] = 0;
  for (const std::size_t budget : {0U, 6U}) {
    PlaceOptions after_options = options_of(cluster, 32);
    after_options.problem.replan = Replan{before->placement, budget};
    const auto after = place(profile, cluster, after_options);
    ASSERT_TRUE(after) << after.error().message;
    ASSERT_TRUE(after->replan);
    EXPECT_EQ(after->replan->moves_forced, alone);
    EXPECT_GE(after->replan->moves, alone);
    EXPECT_LE(after->replan->moves, alone + budget);
    EXPECT_EQ(after->placement.fields().slots_of_gpu[3], 0U);
    const auto moved = count_moves(before->placement, after->placement);
    ASSERT_TRUE(moved);
    EXPECT_EQ(*moved, after->replan->moves);
  }
}

TEST(LostGpu, names_the_slots_that_are_missing) {
  const RoutingProfile profile = random_loads(2, 32, 9);
  Cluster cluster = cluster_of({}, {4, 4, 4, 0, 4, 4, 4, 4});
  PlaceOptions options;
  options.effort.work_units = 1000;
  const auto solution = place(profile, cluster, options);
  ASSERT_FALSE(solution);
  EXPECT_EQ(solution.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(solution.error().message.find("4 more would do"), std::string::npos) << solution.error().message;
}

TEST(Memory, bounds_the_slots_of_a_gpu) {
  Cluster cluster = cluster_of({}, {});
  cluster.gpus = 4;
  cluster.memory_gb = {10, 10, 10, 3};
  const auto fitted = fitted_to_memory(cluster, 1e9, 24);
  ASSERT_TRUE(fitted) << fitted.error().message;
  EXPECT_EQ(fitted->slots, (std::vector<std::uint32_t>{7, 7, 7, 3}));
  EXPECT_EQ(fitted_to_memory(cluster, 1e9, 34).error().code, ErrorCode::kInfeasible);
  cluster.slots = {6, 6, 6, 6};
  EXPECT_EQ(fitted_to_memory(cluster, 1e9, 24).error().code, ErrorCode::kInfeasible);
}

}  // namespace
}  // namespace evenkeel::unequal_test
