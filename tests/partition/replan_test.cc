#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <set>

#include "partition/cost/path_sums.h"
#include "partition/cost/verify.h"
#include "partition/model/migration.h"
#include "partition/place.h"
#include "partition/problem/certificate.h"
#include "partition/problem/problem.h"
#include "partition/slots/relabel_to.h"
#include "partition/slots/replan_frontier.h"
#include "partition/strategies/few_moves.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"

namespace evenkeel::replan_test {
namespace {

using Rows = std::vector<std::vector<ExpertIndex>>;

Placement placement_of(const Rows& rows, std::size_t experts, const Cluster& cluster) {
  Placement::Fields fields;
  fields.layer_ids.resize(rows.size());
  std::iota(fields.layer_ids.begin(), fields.layer_ids.end(), 0);
  fields.experts = experts;
  fields.nodes = cluster.nodes;
  fields.slots_of_gpu.assign(cluster.gpus, static_cast<std::uint32_t>(rows.front().size() / cluster.gpus));
  fields.expert_of_slot = Grid<ExpertIndex>(rows.size(), rows.front().size());
  for (std::size_t layer = 0; layer < rows.size(); ++layer)
    std::ranges::copy(rows[layer], fields.expert_of_slot[layer].begin());
  return *Placement::create(std::move(fields));
}

RoutingProfile random_loads(std::size_t layers, std::size_t experts, std::uint64_t seed) {
  Random random(seed, 8);
  return testing::loads_profile(testing::uneven_rows(layers, experts, random));
}

PlaceOptions options_of(Strategy strategy, std::size_t redundant, std::uint64_t units) {
  PlaceOptions options;
  options.strategy = strategy;
  options.problem.redundant = redundant;
  options.effort.work_units = units;
  return options;
}

/// What ran before: the strategy's placement of other traffic.
Placement running_of(const RoutingProfile& before, const Cluster& cluster, std::size_t redundant,
                     Strategy strategy = Strategy::kLpt) {
  return place(before, cluster, options_of(strategy, redundant, 100'000))->placement;
}

PlaceOptions from(const Placement& running, std::optional<std::size_t> moves_max, std::uint64_t units = 2'000'000) {
  PlaceOptions options = options_of(Strategy::kEvenkeel, running.redundant(), units);
  options.problem.replan = Replan{running, moves_max};
  return options;
}

/// Counted apart from migration(): slots whose expert is not among their GPU's before.
std::size_t moves_between(const Placement& before, const Placement& after) {
  std::size_t moves = 0;
  for (std::size_t layer = 0; layer < after.layers(); ++layer) {
    std::set<std::pair<std::size_t, ExpertIndex>> held;
    for (std::size_t slot = 0; slot < before.slots(); ++slot)
      held.insert({before.gpu_of(SlotId(slot)).index(), before.row(LayerId(layer))[slot]});
    for (std::size_t slot = 0; slot < after.slots(); ++slot)
      moves += 1 - held.count({after.gpu_of(SlotId(slot)).index(), after.row(LayerId(layer))[slot]});
  }
  return moves;
}

std::size_t duplicates_of(const Placement& placement) {
  std::set<std::tuple<std::size_t, std::size_t, ExpertIndex>> held;
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    for (std::size_t slot = 0; slot < placement.slots(); ++slot)
      held.insert({layer, placement.gpu_of(SlotId(slot)).index(), placement.row(LayerId(layer))[slot]});
  }
  return placement.layers() * placement.slots() - held.size();
}

/// Every stretch of slots of a GPU: those that keep their expert's GPU keep their expert.
void expect_slots_kept(const Placement& before, const Placement& after) {
  for (std::size_t layer = 0; layer < after.layers(); ++layer) {
    for (std::size_t gpu = 0; gpu < after.gpus(); ++gpu) {
      const auto old_row = before.hosted(LayerId(layer), GpuId(gpu));
      const auto new_row = after.hosted(LayerId(layer), GpuId(gpu));
      for (std::size_t slot = 0; slot < old_row.size(); ++slot) {
        if (std::ranges::count(new_row, old_row[slot]) == 0 || std::ranges::count(old_row, old_row[slot]) > 1) continue;
        EXPECT_EQ(new_row[slot], old_row[slot]) << "layer " << layer << " GPU " << gpu << " slot " << slot;
      }
    }
  }
}

double imbalance_of(const RoutingProfile& profile, const Placement& placement) {
  return mean_of_loaded(peak_ratios(profile, placement));
}

struct Shape {
  std::size_t layers;
  std::size_t experts;
  Cluster cluster;
  std::size_t redundant;
};
const std::array<Shape, 4> kShapes{{{3, 24, {.gpus = 4, .nodes = 1}, 0},
                                    {3, 24, {.gpus = 4, .nodes = 2}, 8},
                                    {2, 16, {.gpus = 8, .nodes = 2}, 16},
                                    {4, 12, {.gpus = 2, .nodes = 1}, 2}}};

TEST(Replan, never_moves_more_slots_than_its_budget) {
  int improved = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const Shape& shape = kShapes[seed % kShapes.size()];
    const auto running =
        running_of(random_loads(shape.layers, shape.experts, 100 + seed), shape.cluster, shape.redundant);
    for (const bool has_paths : {false, true}) {
      const auto profile = has_paths ? testing::structured_profile({shape.layers, shape.experts, 2, 400}, seed)
                                     : random_loads(shape.layers, shape.experts, seed);
      for (const Comm comm : {Comm::kResident, Comm::kDispatch}) {
        for (const std::size_t budget : {1U, 4U, 9U, 20U}) {
          auto options = from(running, budget, 300'000);
          options.problem.objective.comm = comm;
          options.effort.seed = seed;
          const auto solution = place(profile, shape.cluster, options);
          ASSERT_TRUE(solution) << solution.error().message;
          EXPECT_LE(moves_between(running, solution->placement), budget);
          EXPECT_EQ(solution->replan->moves, moves_between(running, solution->placement));
          EXPECT_EQ(duplicates_of(solution->placement), 0U);
          expect_slots_kept(running, solution->placement);
          improved += solution->replan->imbalance_after < 0.97 * solution->replan->imbalance_before ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(improved, 50);
}

TEST(Replan, without_moves_leaves_the_running_placement_slot_by_slot) {
  for (const Strategy strategy : {Strategy::kRandom, Strategy::kLpt, Strategy::kEplb}) {
    for (const Shape& shape : kShapes) {
      const auto running = running_of(random_loads(shape.layers, shape.experts, 3), shape.cluster, shape.redundant,
                                      strategy == Strategy::kRandom && shape.redundant > 0 ? Strategy::kLpt : strategy);
      const auto profile = testing::structured_profile({shape.layers, shape.experts, 2, 400}, 5);
      const auto solution = place(profile, shape.cluster, from(running, 0));
      ASSERT_TRUE(solution) << solution.error().message;
      EXPECT_EQ(solution->placement, running);
    }
  }
}

TEST(Replan, is_never_worse_with_more_moves) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const Shape& shape = kShapes[seed % kShapes.size()];
    const auto running =
        running_of(random_loads(shape.layers, shape.experts, 50 + seed), shape.cluster, shape.redundant);
    const auto profile = random_loads(shape.layers, shape.experts, seed);
    double last = imbalance_of(profile, running);
    for (const std::size_t budget : {1U, 2U, 4U, 8U, 16U, 32U}) {
      const auto solution = place(profile, shape.cluster, from(running, budget));
      EXPECT_LE(solution->certificate.value, last * 1.002) << "seed " << seed << " budget " << budget;
      last = solution->certificate.value;
    }
    auto free = from(running, std::nullopt);
    free.problem.replan.reset();
    const auto moves = shape.layers * running.slots();
    const double best = place(profile, shape.cluster, free)->certificate.value;
    EXPECT_LE(place(profile, shape.cluster, from(running, moves))->certificate.value, best * 1.0001);
    EXPECT_LE(place(profile, shape.cluster, from(running, moves - 1))->certificate.value, best * 1.005);
  }
}

/// Looks at every content of every slot.
class EveryPlan {
 public:
  EveryPlan(const RoutingProfile& profile, const Placement& running) : load_(profile.total_load()), running_(running) {
    best_.assign(running.layers() * running.slots() + 1, std::numeric_limits<double>::infinity());
    std::vector<double> sum{0.0};
    for (std::size_t layer = 0; layer < running.layers(); ++layer) {
      layer_ = layer;
      least_.assign(running.slots() + 1, std::numeric_limits<double>::infinity());
      row_.assign(running.slots(), 0);
      fill(0);
      std::vector<double> next(sum.size() + running.slots(), std::numeric_limits<double>::infinity());
      for (std::size_t before = 0; before < sum.size(); ++before) {
        for (std::size_t moves = 0; moves < least_.size(); ++moves)
          next[before + moves] = std::min(next[before + moves], sum[before] + least_[moves]);
      }
      sum = next;
    }
    for (std::size_t moves = 0; moves < best_.size(); ++moves)
      best_[moves] = *std::min_element(sum.begin(), sum.begin() + static_cast<std::ptrdiff_t>(moves) + 1);
  }

  /// Least mean over layers of max / mean with at most so many moves.
  [[nodiscard]] double least(std::size_t moves) const { return best_[moves] / static_cast<double>(running_.layers()); }

 private:
  void fill(std::size_t slot) {
    if (slot == row_.size()) return look();
    const std::size_t first = slot / slots_per_gpu() * slots_per_gpu();
    // Experts of a GPU in ascending order: their order changes nothing.
    for (std::size_t expert = slot == first ? 0 : row_[slot - 1] + 1U; expert < running_.experts(); ++expert) {
      row_[slot] = static_cast<ExpertIndex>(expert);
      fill(slot + 1);
    }
  }

  void look() {
    std::vector<double> copies(running_.experts(), 0.0);
    for (const ExpertIndex expert : row_) ++copies[expert];
    if (std::ranges::count(copies, 0.0) > 0) return;
    std::vector<double> gpu_load(running_.gpus(), 0.0);
    std::size_t moves = 0;
    double total = 0;
    for (std::size_t slot = 0; slot < row_.size(); ++slot) {
      const double tokens = static_cast<double>(load_(layer_, row_[slot])) / copies[row_[slot]];
      gpu_load[slot / slots_per_gpu()] += tokens;
      total += tokens;
      const auto held = running_.hosted(LayerId(layer_), GpuId(slot / slots_per_gpu()));
      moves += std::ranges::count(held, row_[slot]) == 0 ? 1U : 0U;
    }
    const double ratio = std::ranges::max(gpu_load) * static_cast<double>(gpu_load.size()) / total;
    least_[moves] = std::min(least_[moves], ratio);
  }

  [[nodiscard]] std::size_t slots_per_gpu() const { return running_.slots() / running_.gpus(); }

  Grid<std::uint64_t> load_;
  const Placement& running_;
  std::size_t layer_ = 0;
  std::vector<ExpertIndex> row_;
  /// Of one layer, by moves.
  std::vector<double> least_;
  std::vector<double> best_;
};

TEST(Replan, finds_the_best_of_small_layers) {
  const std::array<Shape, 4> shapes{{{2, 8, {.gpus = 2, .nodes = 1}, 0},
                                     {2, 6, {.gpus = 3, .nodes = 1}, 0},
                                     {2, 6, {.gpus = 2, .nodes = 1}, 2},
                                     {2, 5, {.gpus = 3, .nodes = 1}, 1}}};
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const Shape& shape = shapes[seed % shapes.size()];
    const auto profile = random_loads(shape.layers, shape.experts, seed);
    const auto running =
        running_of(random_loads(shape.layers, shape.experts, 70 + seed), shape.cluster, shape.redundant);
    const EveryPlan every(profile, running);
    for (const std::size_t budget : {1U, 2U, 4U, 6U}) {
      const auto solution = place(profile, shape.cluster, from(running, budget, 4'000'000));
      EXPECT_GE(solution->certificate.value, every.least(budget) * (1 - 1e-6));
      EXPECT_LE(solution->certificate.value, every.least(budget) * 1.01) << "seed " << seed << " budget " << budget;
    }
  }
}

TEST(Replan, repairs_doubled_experts_first_and_as_many_as_it_can_pay) {
  const Cluster cluster{.gpus = 2, .nodes = 1};
  // Each layer holds expert 0 twice on GPU 0.
  const auto running = placement_of({{0, 0, 1, 2, 3, 4}, {0, 0, 1, 2, 3, 4}, {0, 0, 1, 2, 3, 4}}, 5, cluster);
  const auto profile = testing::loads_profile({{9, 1, 1, 1, 1}, {9, 1, 1, 1, 1}, {0, 0, 0, 0, 0}});
  for (std::size_t budget = 0; budget <= 5; ++budget) {
    const auto solution = place(profile, cluster, from(running, budget));
    ASSERT_TRUE(solution) << solution.error().message;
    EXPECT_EQ(duplicates_of(solution->placement), 3 - std::min<std::size_t>(3, budget));
    EXPECT_LE(moves_between(running, solution->placement), budget);
  }
}

TEST(Replan, leaves_layers_without_load_alone) {
  const Cluster cluster{.gpus = 2, .nodes = 1};
  const auto running = placement_of({{0, 1, 2, 3}, {3, 0, 2, 1}}, 4, cluster);
  const auto profile = testing::loads_profile({{9, 8, 1, 1}, {0, 0, 0, 0}});
  EXPECT_EQ(loaded_slots(profile, 4), 4U);
  for (const std::optional<std::size_t> budget : {std::optional<std::size_t>(), std::optional<std::size_t>(4)}) {
    const auto solution = place(profile, cluster, from(running, budget));
    EXPECT_TRUE(std::ranges::equal(solution->placement.row(LayerId(1)), running.row(LayerId(1))));
    EXPECT_EQ(moves_between(running, solution->placement), 2U);
    EXPECT_NEAR(solution->replan->imbalance_before, 34.0 / 19, 1e-9);
    EXPECT_NEAR(solution->replan->imbalance_after, 20.0 / 19, 1e-9);
  }
}

TEST(Replan, spends_what_loads_leave_over_on_communication) {
  const Cluster cluster{.gpus = 4, .nodes = 2};
  const auto profile = testing::structured_profile({5, 32, 3, 3000}, 4);
  const auto running = running_of(testing::structured_profile({5, 32, 3, 3000}, 11), cluster, 0);
  for (const Comm comm : {Comm::kResident, Comm::kDispatch}) {
    std::vector<double> values;
    for (const std::size_t budget : {0U, 16U, 48U, 100U}) {
      auto options = from(running, budget, 8'000'000);
      options.problem.objective.comm = comm;
      options.problem.load_slack_ratio = 0.05;
      const auto solution = place(profile, cluster, options);
      ASSERT_TRUE(solution) << solution.error().message;
      values.push_back(solution->certificate.value);
      for (std::size_t layer = 0; layer < 5; ++layer) {
        EXPECT_LE(peak_ratios(profile, solution->placement)[layer], 1.05 * solution->certificate.z_star[layer] + 1e-9);
      }
    }
    EXPECT_LT(values[2], 0.99 * values[0]);
    EXPECT_LT(values[3], values[2]);
  }
}

TEST(Replan, is_the_same_for_one_thread_and_two) {
  const Cluster cluster{.gpus = 4, .nodes = 2};
  const auto running = running_of(random_loads(4, 24, 1), cluster, 8);
  for (const Comm comm : {Comm::kResident, Comm::kDispatch}) {
    auto options = from(running, 20, 1'000'000);
    options.problem.objective.comm = comm;
    options.effort.threads = 1;
    const auto profile = testing::structured_profile({4, 24, 2, 600}, 1);
    const auto one = place(profile, cluster, options);
    options.effort.threads = 2;
    EXPECT_EQ(place(profile, cluster, options)->placement, one->placement);
  }
}

TEST(Replan, names_gpus_for_few_moves_without_changing_the_objective) {
  for (const Comm comm : {Comm::kResident, Comm::kDispatch}) {
    for (const bool has_paths : {true, false}) {
      for (const std::size_t redundant : {0U, 8U}) {
        const Cluster cluster{.gpus = 4, .nodes = 2};
        const auto profile = has_paths ? testing::structured_profile({4, 24, 2, 600}, 2) : random_loads(4, 24, 2);
        const auto running = running_of(random_loads(4, 24, 9), cluster, redundant);
        auto options = from(running, std::nullopt);
        options.problem.objective.comm = comm;
        const auto renamed = place(profile, cluster, options);
        options.problem.replan.reset();
        const auto plain = place(profile, cluster, options);
        EXPECT_NEAR(renamed->certificate.value, plain->certificate.value, 1e-9);
        // GPUs under other names add up in another order.
        for (std::size_t layer = 0; layer < 4; ++layer)
          EXPECT_DOUBLE_EQ(renamed->certificate.z_star[layer], plain->certificate.z_star[layer]);
        EXPECT_LT(moves_between(running, renamed->placement), moves_between(running, plain->placement));
        EXPECT_TRUE(verify(renamed->placement, profile, cluster, redundant, {}, 0.0));
        expect_slots_kept(running, renamed->placement);
      }
    }
  }
}

TEST(Replan, finds_names_that_only_changed) {
  const Cluster cluster{.gpus = 4, .nodes = 2};
  const auto before = placement_of({{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}}, 8, cluster);
  // Nodes exchanged, and the GPUs of one of them.
  const auto after = placement_of({{5, 4, 7, 6, 2, 3, 0, 1}, {5, 4, 7, 6, 2, 3, 0, 1}}, 8, cluster);
  EXPECT_EQ(relabel_to(before, after, RenameScope::kAllLayersInNodes), before);
  // Only free naming puts experts 0 and 1 apart from 2 and 3.
  const auto mixed = placement_of({{0, 1, 4, 5, 2, 3, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}}, 8, cluster);
  EXPECT_EQ(relabel_to(before, mixed, RenameScope::kEachLayer), before);
  EXPECT_EQ(moves_between(before, relabel_to(before, mixed, RenameScope::kEachLayerInNodes)), 4U);
}

TEST(Replan, keeps_slots_of_experts_that_stay) {
  const Cluster cluster{.gpus = 2, .nodes = 1};
  const auto before = placement_of({{4, 2, 0, 5, 3, 1}}, 6, cluster);
  const auto after = placement_of({{0, 3, 4, 1, 2, 5}}, 6, cluster);
  EXPECT_EQ(*keep_slots(before, after), placement_of({{4, 3, 0, 5, 2, 1}}, 6, cluster));
}

TEST(Replan, refuses_a_placement_of_another_shape) {
  const Cluster cluster{.gpus = 2, .nodes = 1};
  const auto profile = random_loads(1, 6, 1);
  const auto running = placement_of({{0, 1, 2, 3, 4, 5}}, 6, cluster);
  auto options = from(running, 2);
  options.problem.redundant = 2;
  EXPECT_EQ(place(profile, cluster, options).error().message,
            "the running placement has 0 redundant slots but 2 are asked for; give 0");
  EXPECT_EQ(place(profile, {.gpus = 3, .nodes = 1}, from(running, 2)).error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(place(random_loads(2, 6, 1), cluster, from(running, 2)).error().code, ErrorCode::kInvalidInput);
  options = from(running, 2);
  options.problem.objective = testing::weighted(0.25, 1.0);
  EXPECT_EQ(place(profile, cluster, options).error().code, ErrorCode::kInvalidInput);
}

TEST(Replan, shares_moves_out_over_layers_exactly) {
  // Layer 0 gains 5 for two moves, layer 1 gains 3 for one and 4 for three.
  const ReplanLayer layer{.gpus = 2,
                          .gpu_of_slot = {0, 0, 1, 1},
                          .load_units = {10, 0, 0, 0},
                          .copy_units = {},
                          .slowness = {},
                          .running = {0, 1, 2, 3},
                          .held = {}};
  const auto frontier = [&](const std::vector<std::pair<std::size_t, std::int64_t>>& points) {
    ReplanFrontier result(8);
    for (const auto& [moves, largest] : points) result.offer({moves, largest, layer.running});
    return result;
  };
  const std::vector<ReplanFrontier> frontiers{frontier({{0, 10}, {2, 5}, {3, 6}}), frontier({{0, 10}, {1, 7}, {3, 6}})};
  EXPECT_EQ(frontiers[0].points().size(), 2U) << "three moves for more load are no point";
  const auto chosen = [&](std::size_t moves, double second) {
    return allocate_moves(frontiers, std::vector<double>{1.0, second}, moves);
  };
  EXPECT_EQ(chosen(0, 1.0), (std::vector<std::size_t>{0, 0}));
  EXPECT_EQ(chosen(1, 1.0), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(chosen(2, 1.0), (std::vector<std::size_t>{1, 0}));
  EXPECT_EQ(chosen(2, 2.0), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(chosen(3, 1.0), (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(chosen(4, 9.0), (std::vector<std::size_t>{0, 2}));
  EXPECT_EQ(chosen(5, 1.0), (std::vector<std::size_t>{1, 2}));
}

}  // namespace
}  // namespace evenkeel::replan_test
