#include "partition/search/dispatch_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "partition/foundation/random.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"

namespace evenkeel::dispatch_layer_test {
namespace {

/// A shape, and what makes its token sets uneven.
struct DispatchCase {
  testing::ProfileShape shape;
  Cluster cluster;
  std::size_t redundant = 0;
  bool has_null_choices = false;
  bool has_rounds = false;
};

std::vector<DispatchCase> cases() {
  return {{{3, 12, 3, 200}, {.gpus = 4, .nodes = 1}},
          {{3, 12, 4, 200}, {.gpus = 6, .nodes = 2}},
          {{3, 12, 1, 100}, {.gpus = 4, .nodes = 4}},
          {{3, 10, 3, 200}, {.gpus = 4, .nodes = 2}, 6},
          {{3, 12, 4, 200}, {.gpus = 4, .nodes = 2}, 0, true},
          {{3, 10, 4, 200}, {.gpus = 4, .nodes = 1}, 6, true},
          {{4, 12, 3, 200}, {.gpus = 6, .nodes = 3}, 0, true, true}};
}

Instance instance_of(const DispatchCase& test_case, std::uint64_t seed) {
  auto profile = testing::structured_profile(test_case.shape, seed);
  if (test_case.has_null_choices) profile = testing::with_null_choices(std::move(profile), seed);
  if (test_case.has_rounds) profile = testing::with_rounds(std::move(profile), {0, 0, 1, 1});
  return *make_instance(profile, test_case.cluster, test_case.redundant, testing::dispatch());
}

std::vector<DispatchLayer> layers_of(const Instance& instance, const Assignment& assignment) {
  std::vector<DispatchLayer> layers;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer)
    layers.emplace_back(instance, layer, assignment[layer]);
  return layers;
}

/// What communication() makes of the layers together.
double communication_of(const Instance& instance, const std::vector<DispatchLayer>& layers) {
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < layers.size(); ++layer)
    std::ranges::copy(layers[layer].gpu_of_item(), assignment[layer].begin());
  return communication(instance, assignment);
}

double cost_of(const std::vector<DispatchLayer>& layers) {
  double sum = 0;
  for (const DispatchLayer& layer : layers) sum += layer.cost();
  return sum;
}

/// Calls visit(layer, i, j) for random swaps between GPUs.
template <class Visit>
void for_random_swaps(const Instance& instance, std::vector<DispatchLayer>& layers, int swaps, Visit&& visit) {
  Random random(7, 0);
  const auto items = static_cast<std::uint32_t>(instance.items());
  for (int swap = 0; swap < swaps; ++swap) {
    DispatchLayer& layer = layers[random.below(static_cast<std::uint32_t>(layers.size()))];
    const std::size_t i = random.below(items);
    const std::size_t j = random.below(items);
    if (layer.gpu_of(i) != layer.gpu_of(j) && !layer.swap_duplicates(i, j)) visit(layer, i, j);
  }
}

TEST(DispatchLayer, promises_the_gain_that_a_swap_brings) {
  for (const DispatchCase& test_case : cases()) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      const Instance instance = instance_of(test_case, seed);
      auto layers = layers_of(instance, testing::dealt_out(instance));
      int better = 0;
      for_random_swaps(instance, layers, 150, [&](DispatchLayer& layer, std::size_t i, std::size_t j) {
        const double before = layer.cost();
        const double gain = layer.swap_gain(i, j);
        EXPECT_DOUBLE_EQ(gain, layer.swap_gain(j, i));
        layer.swap(i, j);
        ASSERT_NEAR(before - layer.cost(), gain, 1e-9);
        better += gain > 1e-9 ? 1 : 0;
      });
      EXPECT_TRUE(better > 10 || test_case.shape.top_k == 1);
    }
  }
}

TEST(DispatchLayer, knows_the_tokens_that_touch_each_part_before_and_after_a_swap) {
  for (const DispatchCase& test_case : cases()) {
    const Instance instance = instance_of(test_case, 2);
    auto layers = layers_of(instance, testing::dealt_out(instance));
    for_random_swaps(instance, layers, 150, [&](DispatchLayer& layer, std::size_t i, std::size_t j) {
      const std::size_t a = layer.gpu_of(i);
      const std::size_t b = layer.gpu_of(j);
      std::vector<std::int64_t> gpus(layer.tokens_of_gpu().begin(), layer.tokens_of_gpu().end());
      std::vector<std::int64_t> nodes(layer.tokens_of_node().begin(), layer.tokens_of_node().end());
      const auto [of_a, of_b] = layer.gpu_change(i, j);
      gpus[a] += of_a;
      gpus[b] += of_b;
      if (instance.node_of(a) != instance.node_of(b)) {
        const auto [of_node_a, of_node_b] = layer.node_change(i, j);
        nodes[instance.node_of(a)] += of_node_a;
        nodes[instance.node_of(b)] += of_node_b;
      }
      layer.swap(i, j);
      ASSERT_TRUE(std::ranges::equal(layer.tokens_of_gpu(), gpus));
      ASSERT_TRUE(std::ranges::equal(layer.tokens_of_node(), nodes));
    });
  }
}

TEST(DispatchLayer, counts_what_communication_counts) {
  for (const DispatchCase& test_case : cases()) {
    const Instance instance = instance_of(test_case, 5);
    auto layers = layers_of(instance, testing::dealt_out(instance));
    EXPECT_NEAR(cost_of(layers), communication_of(instance, layers), 1e-9);
    EXPECT_GT(cost_of(layers), 0.0);
    for_random_swaps(instance, layers, 40, [&](DispatchLayer& layer, std::size_t i, std::size_t j) {
      layer.swap(i, j);
      ASSERT_NEAR(cost_of(layers), communication_of(instance, layers), 1e-9);
    });
  }
}

TEST(DispatchLayer, is_after_many_swaps_as_if_built_anew) {
  for (const DispatchCase& test_case : cases()) {
    const Instance instance = instance_of(test_case, 9);
    auto layers = layers_of(instance, testing::dealt_out(instance));
    for_random_swaps(instance, layers, 3000,
                     [&](DispatchLayer& layer, std::size_t i, std::size_t j) { layer.swap(i, j); });
    for (std::size_t index = 0; index < layers.size(); ++index) {
      const DispatchLayer& layer = layers[index];
      const DispatchLayer fresh(instance, index, layer.gpu_of_item());
      EXPECT_TRUE(std::ranges::equal(layer.gpu_load(), fresh.gpu_load()));
      for (std::size_t i = 0; i < layer.items(); ++i) {
        for (std::size_t j = 0; j < layer.items(); ++j) {
          if (layer.gpu_of(i) == layer.gpu_of(j)) continue;
          EXPECT_EQ(layer.swap_gain(i, j), fresh.swap_gain(i, j)) << index << ": " << i << ", " << j;
          EXPECT_EQ(layer.swap_duplicates(i, j), fresh.swap_duplicates(i, j));
        }
      }
    }
  }
}

TEST(DispatchLayer, knows_swaps_that_double_a_copy) {
  const Instance instance = instance_of({{2, 10, 2, 100}, {.gpus = 4, .nodes = 1}, 6}, 1);
  const Assignment start = testing::dealt_out(instance);
  int refused = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const DispatchLayer dispatch(instance, layer, start[layer]);
    const auto holds = [&](std::size_t gpu, std::size_t item) {
      for (std::size_t other = 0; other < instance.items(); ++other) {
        const bool is_copy = instance.expert_of_item(layer, other) == instance.expert_of_item(layer, item);
        if (is_copy && start(layer, other) == gpu) return true;
      }
      return false;
    };
    for (std::size_t i = 0; i < instance.items(); ++i) {
      for (std::size_t j = 0; j < instance.items(); ++j) {
        if (dispatch.gpu_of(i) == dispatch.gpu_of(j)) continue;
        const bool doubles = holds(dispatch.gpu_of(j), i) || holds(dispatch.gpu_of(i), j);
        EXPECT_EQ(dispatch.swap_duplicates(i, j), doubles);
        refused += doubles ? 1 : 0;
      }
    }
  }
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace evenkeel::dispatch_layer_test
