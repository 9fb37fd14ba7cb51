#include "partition/search/step_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "partition/cost/metrics.h"
#include "partition/place.h"
#include "partition/search/dispatch_layer.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"
#include "tests/partition/validity.h"

namespace evenkeel::step_search_test {
namespace {

struct StepCase {
  testing::ProfileShape shape;
  Cluster cluster;
  std::size_t redundant = 0;
};

std::vector<StepCase> cases() {
  return {{{3, 12, 3, 600}, {.gpus = 4, .nodes = 1}},
          {{3, 12, 3, 600}, {.gpus = 4, .nodes = 1}, 4},
          {{3, 12, 4, 600}, {.gpus = 6, .nodes = 2}},
          {{2, 10, 1, 600}, {.gpus = 5, .nodes = 5}}};
}

/// A step in which neither computing nor communication is all.
StepTimeModel model() {
  StepTimeModel model;
  model.batch_tokens = 4096;
  model.compute_per_expert = std::chrono::duration<double, std::micro>(0);
  return model;
}

struct Made {
  RoutingProfile profile;
  Instance instance;
  StepGoal goal;
};

Made made(const StepCase& test_case, std::uint64_t seed) {
  RoutingProfile profile = testing::structured_profile(test_case.shape, seed);
  Instance instance = *make_instance(profile, test_case.cluster, test_case.redundant, testing::dispatch());
  StepGoal goal = make_step_goal(profile, instance, test_case.cluster, model(), seed);
  return {std::move(profile), std::move(instance), std::move(goal)};
}

/// The least expected time of a layer over every arrangement.
double least_seconds(const Made& small, std::size_t layer) {
  std::vector<GpuIndex> gpu_of_item(small.instance.items());
  for (std::size_t item = 0; item < gpu_of_item.size(); ++item)
    gpu_of_item[item] = static_cast<GpuIndex>(item / small.instance.slots_per_gpu());
  double least = layer_seconds(small.instance, small.goal, layer, gpu_of_item);
  while (std::ranges::next_permutation(gpu_of_item).found)
    least = std::min(least, layer_seconds(small.instance, small.goal, layer, gpu_of_item));
  return least;
}

TEST(StepGoal, has_the_transfer_that_the_step_is_modelled_with) {
  for (const StepCase& test_case : cases()) {
    Made given = made(test_case, 3);
    for (Grid<float>& seconds : given.goal.item_seconds) std::ranges::fill(seconds.cells(), 0.0F);
    if (test_case.redundant > 0) continue;
    const Assignment assignment = testing::dealt_out(given.instance);
    const auto traffic = layer_traffic(given.profile, to_placement(given.instance, assignment), test_case.cluster,
                                       model(), Comm::kDispatch);
    for (std::size_t layer = 0; layer < traffic.size(); ++layer) {
      const Link& outer = test_case.cluster.nodes > 1 ? test_case.cluster.inter_node : test_case.cluster.intra_node;
      const double expected = transfer_time(traffic[layer], test_case.cluster).count() -
                              std::chrono::duration<double>(outer.latency).count();
      EXPECT_NEAR(layer_seconds(given.instance, given.goal, layer, assignment[layer]), expected, 1e-9 * expected);
    }
  }
}

TEST(StepGoal, has_samples_that_are_on_average_the_whole) {
  for (const StepCase& test_case : cases()) {
    const Made given = made(test_case, 5);
    for (std::size_t layer = 0; layer < given.instance.layers(); ++layer) {
      const auto chance = expert_chances(given.profile, model(), given.profile.total_load(), layer);
      std::vector<double> copies(given.instance.experts, 0);
      for (const ExpertIndex expert : given.instance.expert_of_item[layer]) ++copies[expert];
      bool differs = false;
      for (std::size_t item = 0; item < given.instance.items(); ++item) {
        const auto seconds = given.goal.item_seconds[layer][item];
        const ExpertIndex expert = given.instance.expert_of_item(layer, item);
        const double whole = std::chrono::duration<double>(copy_time(model(), chance[expert] / copies[expert])).count();
        const double mean = std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
        // Samples are not of equally many tokens.
        EXPECT_NEAR(mean, whole, 0.005 * whole);
        differs = differs || std::ranges::max(seconds) > 1.02F * std::ranges::min(seconds);
      }
      EXPECT_TRUE(differs);
    }
  }
}

TEST(StepSearch, finds_the_least_of_small_layers) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const Made small = made({{2, 8, 2, 400}, {.gpus = 4, .nodes = seed % 2 == 0 ? 1U : 2U}}, seed);
    testing::WorkSlice work(2'000'000);
    const Assignment found =
        anneal_step(small.instance, small.goal, testing::dealt_out(small.instance), work.slice, seed, 1);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      EXPECT_LE(layer_seconds(small.instance, small.goal, layer, found[layer]),
                least_seconds(small, layer) * (1 + 1e-9))
          << seed;
    }
  }
}

TEST(StepSearch, is_never_slower_than_its_start_and_the_same_on_two_threads) {
  for (const StepCase& test_case : cases()) {
    const Made given = made(test_case, 7);
    const Assignment start = testing::balanced(given.instance);
    std::vector<Assignment> found;
    for (const std::size_t threads : {1U, 2U}) {
      testing::WorkSlice work(300'000);
      found.push_back(anneal_step(given.instance, given.goal, start, work.slice, 1, threads));
    }
    EXPECT_EQ(found[0], found[1]);
    EXPECT_LE(step_seconds(given.instance, given.goal, found[0]), step_seconds(given.instance, given.goal, start));
    EXPECT_TRUE(testing::is_valid(given.instance, found[0]));
  }
}

TEST(Place, weighs_load_and_dispatch_by_the_step_where_it_is_asked_to) {
  const RoutingProfile profile = testing::structured_profile({4, 32, 4, 2000}, 3);
  const Cluster cluster{.gpus = 8, .nodes = 1};
  PlaceOptions options;
  options.problem.objective.comm = Comm::kDispatch;
  options.effort.work_units = 3'000'000;
  const auto seconds_of = [&](const Solution& solution) {
    return measure(profile, solution.placement, cluster, model(), Comm::kDispatch)->step_time_seconds;
  };
  const auto capped = place(profile, cluster, options);
  options.problem.step = model();
  const auto weighed = place(profile, cluster, options);
  ASSERT_TRUE(capped && weighed) << (weighed ? "" : weighed.error().message);
  EXPECT_LT(seconds_of(*weighed), seconds_of(*capped));
  // Others look at loads and caps as before.
  options.strategy = Strategy::kMetis;
  const auto metis = place(profile, cluster, options);
  options.problem.step.reset();
  EXPECT_EQ(metis->placement, place(profile, cluster, options)->placement);
}

}  // namespace
}  // namespace evenkeel::step_search_test
