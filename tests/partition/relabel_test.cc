#include "partition/search/relabel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "partition/foundation/random.h"
#include "partition/search/descent.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"
#include "tests/partition/validity.h"

namespace evenkeel::relabel_test {
namespace {

const std::vector<Cluster> kClusters{{.gpus = 4, .nodes = 1},
                                     {.gpus = 8, .nodes = 1},
                                     {.gpus = 8, .nodes = 2},
                                     {.gpus = 4, .nodes = 4},
                                     {.gpus = 8, .nodes = 4}};

Instance instance_of(const Cluster& cluster, std::uint64_t seed, std::size_t redundant = 0) {
  return *make_instance(testing::structured_profile({7, 32, 2, 1500}, seed), cluster, redundant);
}

/// GPUs of a layer renamed at random, GPUs of a node staying together.
std::vector<GpuIndex> random_names(const Instance& instance, Random& random) {
  const std::size_t size = instance.gpus_per_node();
  std::vector<std::size_t> nodes(instance.nodes);
  std::iota(nodes.begin(), nodes.end(), std::size_t{0});
  random.shuffle(std::span(nodes));
  std::vector<GpuIndex> names;
  for (const std::size_t node : nodes) {
    std::vector<GpuIndex> inside(size);
    std::iota(inside.begin(), inside.end(), static_cast<GpuIndex>(node * size));
    random.shuffle(std::span(inside));
    names.insert(names.end(), inside.begin(), inside.end());
  }
  return names;
}

Assignment renamed_at_random(const Instance& instance, Assignment assignment, std::uint64_t seed) {
  Random random(seed, 4);
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const auto names = random_names(instance, random);
    std::ranges::transform(assignment[layer], assignment[layer].begin(), [&](GpuIndex gpu) { return names[gpu]; });
  }
  return assignment;
}

Assignment good_arrangement(const Instance& instance) {
  Arrangement arrangement(instance, testing::dealt_out(instance));
  const std::vector<std::int64_t> no_caps(instance.layers(), std::numeric_limits<std::int64_t>::max());
  testing::WorkSlice work;
  descend(arrangement, {no_caps, 0.0}, 0.0, work.slice);
  return arrangement.assignment();
}

Assignment relabelled(const Instance& instance, const Assignment& assignment) {
  Arrangement arrangement(instance, assignment);
  testing::WorkSlice work;
  relabel(arrangement, work.slice);
  return arrangement.assignment();
}

std::vector<std::int64_t> sorted_loads(const Instance& instance, const Assignment& assignment, std::size_t layer) {
  auto load = gpu_load_units(instance, assignment, layer);
  std::ranges::sort(load);
  return load;
}

TEST(Relabel, never_raises_communication_and_leaves_every_layer_its_loads) {
  for (const Cluster& cluster : kClusters) {
    for (const std::size_t redundant : {0U, 8U}) {
      const Instance instance = instance_of(cluster, 3, redundant);
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const Assignment start = renamed_at_random(instance, testing::dealt_out(instance), seed);
        const Assignment result = relabelled(instance, start);
        EXPECT_TRUE(testing::is_valid(instance, result));
        EXPECT_LE(communication(instance, result), communication(instance, start) + 1e-9);
        for (std::size_t layer = 0; layer < instance.layers(); ++layer)
          EXPECT_EQ(sorted_loads(instance, result, layer), sorted_loads(instance, start, layer));
      }
    }
  }
}

TEST(Relabel, finds_the_names_that_were_mixed_up) {
  for (const Cluster& cluster : kClusters) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const Instance instance = instance_of(cluster, seed);
      const Assignment good = good_arrangement(instance);
      const Assignment mixed = renamed_at_random(instance, good, seed);
      ASSERT_GT(communication(instance, mixed), 1.02 * communication(instance, good));
      EXPECT_LE(communication(instance, relabelled(instance, mixed)), communication(instance, good) + 1e-9)
          << cluster.gpus << " GPUs, " << cluster.nodes << " nodes, seed " << seed;
    }
  }
}

TEST(Relabel, renames_a_single_layer_as_well_as_any_renaming) {
  for (const Cluster& cluster : {Cluster{.gpus = 4, .nodes = 1}, Cluster{.gpus = 4, .nodes = 2}}) {
    const Instance instance = instance_of(cluster, 1);
    const Assignment start = renamed_at_random(instance, good_arrangement(instance), 2);
    for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
      Arrangement arrangement(instance, start);
      relabel_layer(arrangement, layer);
      std::vector<GpuIndex> names{0, 1, 2, 3};
      do {
        const auto node = [&](std::size_t gpu) { return instance.node_of(names[gpu]); };
        if (instance.nodes == 2 && (node(0) != node(1) || node(2) != node(3))) continue;
        Assignment other = start;
        std::ranges::transform(other[layer], other[layer].begin(), [&](GpuIndex gpu) { return names[gpu]; });
        EXPECT_LE(arrangement.communication(), communication(instance, other) + 1e-6);
      } while (std::ranges::next_permutation(names).found);
    }
  }
}

TEST(Relabel, never_raises_communication_with_several_rounds_a_layer) {
  for (const std::vector<std::uint32_t>& rounds :
       {std::vector<std::uint32_t>{0, 0, 1, 1}, {0, 1, 2, 0}, {0, 1, 0, 1}}) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const auto profile = testing::with_rounds(testing::structured_profile({4, 16, 2, 400}, seed), rounds);
      const Instance instance = *make_instance(profile, {.gpus = 4, .nodes = 2}, 0);
      const Assignment start = renamed_at_random(instance, testing::dealt_out(instance), seed);
      EXPECT_LE(communication(instance, relabelled(instance, start)), communication(instance, start) + 1e-9);
    }
  }
}

TEST(Relabel, leaves_loads_alone_as_they_are) {
  const auto profile = testing::loads_profile({{4, 3, 2, 1}, {1, 1, 1, 1}});
  const Instance instance = *make_instance(profile, {.gpus = 2, .nodes = 1}, 0);
  EXPECT_EQ(relabelled(instance, testing::dealt_out(instance)), testing::dealt_out(instance));
}

}  // namespace
}  // namespace evenkeel::relabel_test
