#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "partition/warmstart/lift.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/metis_coactivation.h"
#include "partition/warmstart/metis_folded.h"
#include "partition/warmstart/metis_layered.h"
#include "partition/warmstart/transport.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"
#include "tests/partition/validity.h"

namespace evenkeel::warmstart_test {
namespace {

/// A way to start, and the communication that it looks at.
struct Start {
  std::string name;
  std::function<Assignment(const Instance&, std::uint64_t seed)> make;
  Objective objective;
};

std::ostream& operator<<(std::ostream& out, const Start& start) { return out << start.name; }

std::vector<Start> starts() {
  return {
      {"transport",
       [](const Instance& instance, std::uint64_t) { return transport_assignment(instance, lpt_assignment(instance)); },
       {}},
      {"folded", metis_folded_assignment, {}},
      {"layered", metis_layered_assignment, {}},
      {"coactivation", metis_coactivation_assignment, testing::dispatch()}};
}

class WarmStart : public ::testing::TestWithParam<Start> {
 protected:
  [[nodiscard]] static Instance instance(const Cluster& cluster, std::size_t redundant, std::uint64_t seed = 1) {
    const auto profile = testing::structured_profile({6, 32, 2, 2000}, seed);
    return *make_instance(profile, cluster, redundant, GetParam().objective);
  }
};

const std::vector<Cluster> kClusters{
    {.gpus = 4, .nodes = 1}, {.gpus = 8, .nodes = 2}, {.gpus = 4, .nodes = 4}, {.gpus = 16, .nodes = 2}};

TEST_P(WarmStart, fills_every_slot_and_keeps_copies_apart) {
  for (const Cluster& cluster : kClusters) {
    for (const std::size_t redundant : {0U, 16U, 32U}) {
      for (std::uint64_t seed = 1; seed < 4; ++seed) {
        const Instance instance = this->instance(cluster, redundant, seed);
        EXPECT_TRUE(testing::is_valid(instance, GetParam().make(instance, seed)))
            << cluster.gpus << " GPUs, " << cluster.nodes << " nodes, " << redundant << " redundant, seed " << seed;
      }
    }
  }
}

TEST_P(WarmStart, keeps_more_than_lpt) {
  for (const Cluster& cluster : kClusters) {
    const Instance instance = this->instance(cluster, 0);
    EXPECT_LT(communication(instance, GetParam().make(instance, 1)),
              0.97 * communication(instance, lpt_assignment(instance)))
        << cluster.gpus << " GPUs, " << cluster.nodes << " nodes";
  }
}

TEST_P(WarmStart, is_the_same_for_the_same_seed) {
  const Instance instance = this->instance({.gpus = 8, .nodes = 2}, 8);
  const Assignment first = GetParam().make(instance, 5);
  for (int run = 0; run < 3; ++run) EXPECT_EQ(GetParam().make(instance, 5), first);
}

TEST_P(WarmStart, takes_a_single_gpu_and_a_single_slot_a_gpu) {
  for (const Cluster& cluster : {Cluster{.gpus = 1, .nodes = 1}, Cluster{.gpus = 32, .nodes = 4}}) {
    const Instance instance = this->instance(cluster, 0);
    EXPECT_TRUE(testing::is_valid(instance, GetParam().make(instance, 1)));
  }
}

INSTANTIATE_TEST_SUITE_P(All, WarmStart, ::testing::ValuesIn(starts()),
                         [](const auto& test) { return test.param.name; });

TEST(LptWithinNodes, keeps_the_nodes_and_fills_their_gpus) {
  const auto profile = testing::structured_profile({6, 32, 2, 2000}, 1);
  const Instance instance = *make_instance(profile, {.gpus = 8, .nodes = 2}, 0);
  Assignment nodes(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < nodes.rows(); ++layer) {
    for (std::size_t item = 0; item < nodes.cols(); ++item)
      nodes(layer, item) = static_cast<GpuIndex>((item + layer) / 3 % 2);
    // Whatever the pattern left uneven.
    for (auto node = nodes[layer].begin(); std::ranges::count(nodes[layer], GpuIndex{0}) > 16; ++node) *node = 1;
    for (auto node = nodes[layer].begin(); std::ranges::count(nodes[layer], GpuIndex{0}) < 16; ++node) *node = 0;
  }
  const Assignment result = lpt_within_nodes(instance, nodes);
  EXPECT_TRUE(testing::is_valid(instance, result));
  for (std::size_t cell = 0; cell < result.cells().size(); ++cell)
    EXPECT_EQ(instance.node_of(result.cells()[cell]), nodes.cells()[cell]);
}

TEST(Lift, is_what_lies_above_independent_choices) {
  Grid<float> traffic(2, 2);
  traffic(0, 0) = 0.4F;
  traffic(0, 1) = 0.1F;
  traffic(1, 0) = 0.2F;
  traffic(1, 1) = 0.3F;
  const Grid<float> above = lift(traffic);
  EXPECT_FLOAT_EQ(above(0, 0), 0.1F);
  EXPECT_FLOAT_EQ(above(0, 1), 0.0F);
  EXPECT_FLOAT_EQ(above(1, 0), 0.0F);
  EXPECT_FLOAT_EQ(above(1, 1), 0.1F);
}

}  // namespace
}  // namespace evenkeel::warmstart_test
