#include "partition/exact/glpk_layer.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "partition/foundation/random.h"

namespace evenkeel::glpk_layer_test {
namespace {

struct SmallLayer {
  Grid<double> affinity;
  std::vector<ExpertIndex> experts;
  std::vector<std::int64_t> load;
  std::vector<GpuIndex> incumbent;
  std::int64_t cap = 0;
};

/// Six items on three GPUs; the cap is what the incumbent needs, and a little.
SmallLayer random_layer(std::uint64_t seed, bool has_replicas) {
  Random random(seed, 0);
  SmallLayer layer{
      Grid<double>(6, 3), std::vector<ExpertIndex>(6), std::vector<std::int64_t>(6), {0, 1, 2, 0, 1, 2}, 0};
  std::iota(layer.experts.begin(), layer.experts.end(), ExpertIndex{0});
  if (has_replicas) layer.experts = {0, 0, 1, 2, 3, 4};
  for (double& cell : layer.affinity.cells()) cell = random.below(1000) / 1000.0;
  std::int64_t on_gpu[3] = {0, 0, 0};
  for (std::size_t item = 0; item < 6; ++item) {
    layer.load[item] = 10 + random.below(90);
    on_gpu[layer.incumbent[item]] += layer.load[item];
  }
  layer.cap = *std::max_element(on_gpu, on_gpu + 3) + 5;
  return layer;
}

double kept(const SmallLayer& layer, const std::vector<GpuIndex>& gpu_of_item) {
  double sum = 0;
  for (std::size_t item = 0; item < 6; ++item) sum += layer.affinity(item, gpu_of_item[item]);
  return sum;
}

bool is_feasible(const SmallLayer& layer, const std::vector<GpuIndex>& gpu_of_item) {
  for (GpuIndex gpu = 0; gpu < 3; ++gpu) {
    std::int64_t load = 0;
    std::size_t count = 0;
    std::size_t copies_of_0 = 0;
    for (std::size_t item = 0; item < 6; ++item) {
      if (gpu_of_item[item] != gpu) continue;
      load += layer.load[item];
      ++count;
      copies_of_0 += layer.experts[item] == 0 ? 1U : 0U;
    }
    if (load > layer.cap || count != 2 || copies_of_0 > 1) return false;
  }
  return true;
}

double brute_force(const SmallLayer& layer) {
  double best = 0;
  std::vector<GpuIndex> gpu_of_item(6, 0);
  for (std::size_t code = 0; code < 729; ++code) {
    std::size_t rest = code;
    for (GpuIndex& gpu : gpu_of_item) {
      gpu = static_cast<GpuIndex>(rest % 3);
      rest /= 3;
    }
    if (is_feasible(layer, gpu_of_item)) best = std::max(best, kept(layer, gpu_of_item));
  }
  return best;
}

TEST(GlpkLayer, finds_the_optimum_of_small_layers_and_bounds_it) {
  int improved = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const SmallLayer layer = random_layer(seed, seed % 2 == 1);
    const LayerProgram program{layer.affinity, layer.experts, layer.load, layer.cap, 2, layer.incumbent};
    const LayerSolution solution = solve_layer(program, {std::nullopt, 1'000'000});
    ASSERT_TRUE(is_feasible(layer, solution.gpu_of_item)) << "seed " << seed;
    const double optimum = brute_force(layer);
    EXPECT_NEAR(solution.kept, optimum, 1e-4 * optimum) << "seed " << seed;
    EXPECT_NEAR(solution.kept, kept(layer, solution.gpu_of_item), 1e-12);
    EXPECT_GE(solution.bound, optimum - 1e-9) << "seed " << seed;
    improved += solution.kept > kept(layer, layer.incumbent) + 1e-9 ? 1 : 0;
  }
  EXPECT_GT(improved, 30);
}

TEST(GlpkLayer, is_never_worse_than_its_incumbent_without_any_time) {
  const SmallLayer layer = random_layer(3, false);
  const LayerProgram program{layer.affinity, layer.experts, layer.load, layer.cap, 2, layer.incumbent};
  const LayerSolution solution = solve_layer(program, {std::chrono::duration<double>(0), std::nullopt});
  EXPECT_GE(solution.kept, kept(layer, layer.incumbent));
  EXPECT_TRUE(is_feasible(layer, solution.gpu_of_item));
}

}  // namespace
}  // namespace evenkeel::glpk_layer_test
