#include "partition/baseline/metis_naive.h"

#include <gtest/gtest.h>

#include "tests/partition/fixtures.h"
#include "tests/partition/validity.h"

namespace evenkeel::metis_naive_test {
namespace {

TEST(MetisNaive, gives_every_gpu_its_slots_of_every_layer) {
  for (const Cluster& cluster : {Cluster{.gpus = 4, .nodes = 1}, Cluster{.gpus = 8, .nodes = 2}}) {
    const auto instance = make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), cluster, 0);
    EXPECT_TRUE(testing::is_valid(*instance, metis_naive_assignment(*instance, 1)));
  }
}

TEST(MetisNaive, never_doubles_an_expert_on_a_gpu) {
  const auto instance = make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), {.gpus = 4, .nodes = 2}, 8);
  EXPECT_TRUE(testing::is_valid(*instance, metis_naive_assignment(*instance, 1)));
}

TEST(MetisNaive, deals_items_out_where_there_is_no_traffic) {
  const auto instance = make_instance(testing::loads_profile({{0, 0, 0, 0, 0, 0}, {9, 8, 7, 6, 5, 4}}), {.gpus = 3}, 0);
  EXPECT_TRUE(testing::is_valid(*instance, metis_naive_assignment(*instance, 1)));
}

TEST(MetisNaive, is_the_same_for_the_same_seed) {
  const auto instance = make_instance(testing::structured_profile({6, 32, 2, 2000}, 1), {.gpus = 4, .nodes = 1}, 0);
  EXPECT_EQ(metis_naive_assignment(*instance, 5), metis_naive_assignment(*instance, 5));
}

}  // namespace
}  // namespace evenkeel::metis_naive_test
