#include <gtest/gtest.h>

#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_layered.h"
#include "tests/partition/fixtures.h"

namespace evenkeel::metis_test {
namespace {

void expect_equal_slots(const Instance& instance, const Assignment& assignment) {
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    std::vector<std::size_t> count(instance.gpus, 0);
    for (std::size_t item = 0; item < instance.items(); ++item) ++count[assignment(layer, item)];
    EXPECT_EQ(count, std::vector<std::size_t>(instance.gpus, instance.slots_per_gpu())) << "layer " << layer;
  }
}

TEST(MetisLayered, gives_every_gpu_its_slots_of_every_layer) {
  for (const Cluster& cluster : {Cluster{.gpus = 4, .nodes = 1}, Cluster{.gpus = 8, .nodes = 2}}) {
    const auto instance = make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), cluster, 0);
    expect_equal_slots(*instance, metis_layered_assignment(*instance, 1));
  }
}

TEST(MetisLayered, never_doubles_an_expert_on_a_gpu) {
  const auto instance = make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), {.gpus = 4, .nodes = 2}, 8);
  const Assignment assignment = metis_layered_assignment(*instance, 1);
  expect_equal_slots(*instance, assignment);
  for (std::size_t layer = 0; layer < instance->layers(); ++layer) {
    for (std::size_t item = 1; item < instance->items(); ++item) {
      for (std::size_t other = 0; other < item; ++other) {
        const bool is_copy = instance->expert_of_item(layer, item) == instance->expert_of_item(layer, other);
        EXPECT_FALSE(is_copy && assignment(layer, item) == assignment(layer, other))
            << "layer " << layer << " item " << item;
      }
    }
  }
}

TEST(MetisLayered, keeps_more_traffic_than_a_start_that_looks_at_loads_alone) {
  const auto instance = make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), {.gpus = 4, .nodes = 1}, 0);
  EXPECT_LT(communication(*instance, metis_layered_assignment(*instance, 1)),
            0.9 * communication(*instance, lpt_assignment(*instance)));
}

TEST(MetisLayered, is_the_same_for_the_same_seed) {
  const auto instance = make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), {.gpus = 4, .nodes = 1}, 0);
  const Assignment first = metis_layered_assignment(*instance, 5);
  for (int run = 0; run < 3; ++run) EXPECT_EQ(metis_layered_assignment(*instance, 5), first);
}

}  // namespace
}  // namespace evenkeel::metis_test
