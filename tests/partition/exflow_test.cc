#include "partition/baseline/exflow.h"

#include <gtest/gtest.h>

#include "tests/partition/fixtures.h"
#include "tests/partition/validity.h"

namespace evenkeel::exflow_test {
namespace {

constexpr std::uint64_t kPlenty = 1'000'000'000;

/// What engines start with, and what is left without a budget.
Assignment in_order(const Instance& instance) {
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::size_t item = 0; item < instance.items(); ++item)
      assignment(layer, item) = static_cast<GpuIndex>(item / instance.slots_per_gpu());
  }
  return assignment;
}

Instance instance_of(const Cluster& cluster, std::size_t redundant) {
  return *make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), cluster, redundant);
}

TEST(ExFlow, gives_every_gpu_its_slots_and_no_expert_twice) {
  const Instance instances[] = {instance_of({.gpus = 4, .nodes = 1}, 0), instance_of({.gpus = 8, .nodes = 2}, 0),
                                instance_of({.gpus = 8, .nodes = 8}, 0), instance_of({.gpus = 4, .nodes = 2}, 8),
                                instance_of({.gpus = 1, .nodes = 1}, 0)};
  for (const Instance& instance : instances) {
    Budget budget = Budget::work(kPlenty);
    EXPECT_TRUE(testing::is_valid(instance, exflow_assignment(instance, budget)));
  }
}

TEST(ExFlow, keeps_more_traffic_than_items_in_order_of_number) {
  for (const Cluster& cluster : {Cluster{.gpus = 4, .nodes = 1}, Cluster{.gpus = 8, .nodes = 2}}) {
    const Instance instance = instance_of(cluster, 0);
    Budget budget = Budget::work(kPlenty);
    EXPECT_LT(communication(instance, exflow_assignment(instance, budget)),
              0.9 * communication(instance, in_order(instance)));
  }
}

TEST(ExFlow, ends_where_no_swap_inside_a_layer_keeps_more) {
  const Instance instance = instance_of({.gpus = 4, .nodes = 1}, 0);
  Budget budget = Budget::work(kPlenty);
  const Assignment assignment = exflow_assignment(instance, budget);
  const double cost = communication(instance, assignment);
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::size_t item = 1; item < instance.items(); ++item) {
      Assignment swapped = assignment;
      std::swap(swapped(layer, 0), swapped(layer, item));
      EXPECT_GE(communication(instance, swapped), cost - 1e-6) << "layer " << layer << " item " << item;
    }
  }
}

TEST(ExFlow, takes_layers_of_several_rounds) {
  auto profile = testing::structured_profile({4, 16, 2, 400}, 4);
  profile.paths.layer_of_round = {0, 0, 0, 1};
  profile.shape.layer_ids = {0, 1};
  profile.windows = {{.load_tokens = Grid<std::uint64_t>(2, 16, 50)}};
  const auto instance = make_instance(profile, {.gpus = 4, .nodes = 2}, 0);
  Budget budget = Budget::work(kPlenty);
  const Assignment assignment = exflow_assignment(*instance, budget);
  EXPECT_TRUE(testing::is_valid(*instance, assignment));
  EXPECT_LT(communication(*instance, assignment), communication(*instance, in_order(*instance)));
}

TEST(ExFlow, is_in_order_of_number_without_budget_or_traffic) {
  const Instance instance = instance_of({.gpus = 8, .nodes = 2}, 0);
  Budget none = Budget::work(0);
  EXPECT_EQ(exflow_assignment(instance, none), in_order(instance));
  const auto loads = make_instance(testing::loads_profile({{4, 3, 2, 1}, {1, 2, 3, 4}}), {.gpus = 2}, 0);
  Budget budget = Budget::work(kPlenty);
  EXPECT_EQ(exflow_assignment(*loads, budget), in_order(*loads));
}

TEST(ExFlow, stays_valid_wherever_the_budget_ends) {
  const Instance instance = instance_of({.gpus = 8, .nodes = 2}, 0);
  for (std::uint64_t units = 0; units < 40'000; units += 1'500) {
    Budget budget = Budget::work(units);
    EXPECT_TRUE(testing::is_valid(instance, exflow_assignment(instance, budget))) << units << " units";
  }
}

}  // namespace
}  // namespace evenkeel::exflow_test
