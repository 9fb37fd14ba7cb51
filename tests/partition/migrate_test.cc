#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include "partition/foundation/random.h"
#include "partition/migrate/decision.h"
#include "partition/migrate/edge_colouring.h"
#include "partition/migrate/layer_changes.h"
#include "partition/migrate/plan.h"

namespace evenkeel::migrate_test {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;

/// One layer a row, `slots` of each GPU.
Placement placement(std::vector<std::vector<ExpertIndex>> rows, std::vector<std::uint32_t> slots, std::size_t experts,
                    std::size_t nodes = 1) {
  Placement::Fields fields{{}, experts, nodes, std::move(slots), Grid<ExpertIndex>(rows.size(), rows[0].size()), {}};
  for (std::size_t layer = 0; layer < rows.size(); ++layer) {
    fields.layer_ids.push_back(static_cast<int>(layer));
    std::ranges::copy(rows[layer], fields.expert_of_slot[layer].begin());
  }
  return *Placement::create(std::move(fields));
}

Cluster cluster_of(const Placement& placement) {
  Cluster cluster;
  cluster.gpus = placement.gpus();
  cluster.nodes = placement.nodes();
  return cluster;
}

MigrationPlan plan(const Placement& from, const Placement& to, std::size_t spare) {
  auto result = plan_migration(from, to, cluster_of(from), {.spare = spare});
  EXPECT_TRUE(result) << result.error().message;
  return *std::move(result);
}

std::size_t colours_used(const std::vector<BipartiteEdge>& edges, std::size_t vertices) {
  const auto colours = edge_colours(edges, vertices);
  std::set<std::tuple<bool, std::uint32_t, std::uint32_t>> taken;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    EXPECT_TRUE(taken.emplace(false, edges[i].left, colours[i]).second);
    EXPECT_TRUE(taken.emplace(true, edges[i].right, colours[i]).second);
  }
  return std::set<std::uint32_t>(colours.begin(), colours.end()).size();
}

TEST(EdgeColouring, needs_as_many_colours_as_the_busiest_vertex_has_edges) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed, 0);
    const std::uint32_t vertices = 1 + random.below(9);
    std::vector<BipartiteEdge> edges(random.below(60));
    std::vector<std::size_t> left(vertices), right(vertices);
    std::size_t busiest = 0;
    for (BipartiteEdge& edge : edges) {
      edge = {random.below(vertices), random.below(vertices)};
      busiest = std::max({busiest, ++left[edge.left], ++right[edge.right]});
    }
    EXPECT_EQ(colours_used(edges, vertices), busiest) << "seed " << seed;
  }
}

TEST(EdgeColouring, swaps_colours_on_an_alternating_path_where_none_is_free_at_both_ends) {
  // The last edge has 1 free on the left and 0 on the right: the two edges of left vertex 1 swap theirs, 0 and 1.
  const std::vector<BipartiteEdge> edges{{0, 0}, {1, 2}, {1, 1}, {0, 1}};
  EXPECT_EQ(edge_colours(edges, 3), (std::vector<std::uint32_t>{0, 1, 0, 1}));
  EXPECT_EQ(edge_colours(std::span(edges).first(3), 3), (std::vector<std::uint32_t>{0, 0, 1}));
  EXPECT_TRUE(edge_colours({}, 4).empty());
}

TEST(LayerChanges, of_a_cycle_go_together_and_visit_no_gpu_twice) {
  // Experts 0, 1, 2 go round the three GPUs one way, 3, 4, 5 the other.
  const Placement from = placement({{0, 3, 1, 4, 2, 5}}, {2, 2, 2}, 6);
  const Placement to = placement({{2, 4, 0, 5, 1, 3}}, {2, 2, 2}, 6);
  const auto classes = changes_of_layer(from, to, LayerId(0));
  ASSERT_EQ(classes.size(), 2U);
  for (const ChangeClass& groups : classes) {
    std::set<GpuId> gpus;
    for (const ChangeGroup& group : groups) {
      EXPECT_TRUE(group.is_cycle);
      for (const SlotChange& change : group.changes) EXPECT_TRUE(gpus.insert(change.gpu).second);
    }
    EXPECT_EQ(gpus.size(), 3U);
  }
}

TEST(LayerChanges, start_a_path_where_a_replica_gives_way) {
  // The second copy of 0 makes room for 1, that for 2, and 2 leaves room for a second copy of 3.
  const Placement from = placement({{0, 3, 0, 4, 1, 5, 2, 6}}, {2, 2, 2, 2}, 7);
  const Placement to = placement({{0, 3, 1, 4, 2, 5, 3, 6}}, {2, 2, 2, 2}, 7);
  const auto classes = changes_of_layer(from, to, LayerId(0));
  ASSERT_EQ(classes.size(), 1U);
  ASSERT_EQ(classes[0].size(), 1U);
  EXPECT_FALSE(classes[0][0].is_cycle);
  const std::vector<SlotChange> path{{LayerId(0), GpuId(1), ExpertId(0), ExpertId(1)},
                                     {LayerId(0), GpuId(2), ExpertId(1), ExpertId(2)},
                                     {LayerId(0), GpuId(3), ExpertId(2), ExpertId(3)}};
  EXPECT_EQ(classes[0][0].changes, path);
}

TEST(EpochPacking, puts_cycles_of_many_layers_into_one_epoch_up_to_the_spare_buffers) {
  const Placement from = placement({{0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}}, {1, 1, 1, 1}, 4);
  const Placement to = placement({{1, 0, 2, 3}, {0, 1, 3, 2}, {1, 0, 3, 2}}, {1, 1, 1, 1}, 4);
  EXPECT_EQ(plan(from, to, 1).epochs.size(), 2U);
  EXPECT_EQ(plan(from, to, 2).epochs.size(), 1U);
}

TEST(EpochPacking, splits_a_path_but_not_a_cycle) {
  const SlotChange busy{LayerId(0), GpuId(1), ExpertId(0), ExpertId(9)};
  const SlotChange first{LayerId(1), GpuId(0), ExpertId(0), ExpertId(1)};
  const SlotChange second{LayerId(1), GpuId(1), ExpertId(1), ExpertId(2)};
  const ChangeGroup block{{busy, {LayerId(0), GpuId(2), ExpertId(9), ExpertId(0)}}, true};
  const auto with_path = pack_epochs({{block}, {{{first, second}, false}}}, 3, 1);
  ASSERT_EQ(with_path.size(), 2U);
  EXPECT_EQ(with_path[0].size(), 3U);
  EXPECT_EQ(with_path[1], EpochChanges{second});
  const auto with_cycle = pack_epochs({{block}, {{{first, second}, true}}}, 3, 1);
  ASSERT_EQ(with_cycle.size(), 2U);
  EXPECT_EQ(with_cycle[1].size(), 2U);
}

TEST(Transfers, come_from_the_nearest_holder_that_sent_least) {
  // Two nodes of three GPUs. Expert 0 is on GPUs 0, 1 and 3.
  const Placement before =
      placement({{0, 0, 1, 0, 2, 3}, {0, 0, 1, 0, 2, 3}, {0, 1, 2, 1, 3, 3}}, std::vector<std::uint32_t>(6, 1), 4, 2);
  const std::vector<SlotChange> changes{{LayerId(0), GpuId(2), ExpertId(1), ExpertId(0)},
                                        {LayerId(0), GpuId(4), ExpertId(2), ExpertId(0)},
                                        {LayerId(1), GpuId(2), ExpertId(1), ExpertId(0)},
                                        {LayerId(2), GpuId(4), ExpertId(3), ExpertId(0)}};
  const Transfers transfers =
      plan_transfers(before, changes, cluster_of(before), std::vector<bool>(before.gpus()), 1e9);
  ASSERT_EQ(transfers.copies.size(), 4U);
  std::vector<GpuId> sources;
  for (const ScheduledCopy& scheduled : transfers.copies) sources.push_back(scheduled.copy.from);
  EXPECT_EQ(sources, (std::vector{GpuId(0), GpuId(3), GpuId(1), GpuId(0)}));
  EXPECT_EQ(transfers.rounds, 2U);
  EXPECT_DOUBLE_EQ(transfers.intra_node_bytes, 3e9);
  EXPECT_DOUBLE_EQ(transfers.inter_node_bytes, 1e9);
  // The copy between nodes has a round of its own GPUs; only one round is slow.
  EXPECT_DOUBLE_EQ(transfers.time.count(), 1.0 / 50 + 10e-6 + 1.0 / 450 + 3e-6);
}

TEST(MigrationPlan, keeps_the_slots_of_experts_that_stay_and_ends_with_the_shares_wanted) {
  const Placement from = placement({{0, 1, 2, 3, 0, 4}}, {3, 3}, 5);
  Placement::Fields fields = placement({{3, 2, 0, 1, 4, 0}}, {3, 3}, 5).fields();
  fields.shares = Grid<double>(1, 6, 1.0);
  (*fields.shares)(0, 2) = 0.75;
  (*fields.shares)(0, 5) = 0.25;
  const Placement to = *Placement::create(fields);
  const auto placements = epoch_placements(plan(from, to, 2), from, to);
  ASSERT_EQ(placements.size(), 1U);
  EXPECT_TRUE(std::ranges::equal(placements[0].row(LayerId(0)), std::vector<ExpertIndex>{0, 3, 2, 1, 0, 4}));
  EXPECT_DOUBLE_EQ(placements[0].share(LayerId(0), SlotId(0)), 0.75);
  EXPECT_DOUBLE_EQ(placements[0].share(LayerId(0), SlotId(4)), 0.25);
}

TEST(MigrationPlan, without_a_spare_buffer_names_one_which_is_enough_and_needed) {
  const Placement from = placement({{0, 1, 2, 3}}, {2, 2}, 4);
  const Placement to = placement({{2, 3, 0, 1}}, {2, 2}, 4);
  const auto none = plan_migration(from, to, cluster_of(from), {.spare = 0});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kInfeasible);
  EXPECT_EQ(none.error().message,
            "migration: 4 experts move but there are 0 spare buffers a GPU to load them into; give 1 or more");
  EXPECT_EQ(plan(from, to, 1).epochs.size(), 2U);
  EXPECT_TRUE(plan_migration(from, from, cluster_of(from), {.spare = 0}));
}

TEST(MigrationPlan, refuses_placements_and_clusters_that_differ_in_shape) {
  const Placement from = placement({{0, 1, 2, 3}}, {2, 2}, 4);
  const auto unequal = plan_migration(from, placement({{0, 1, 2, 3}}, {3, 1}, 4), cluster_of(from), {});
  ASSERT_FALSE(unequal);
  EXPECT_EQ(unequal.error().code, ErrorCode::kInvalidInput);
  Cluster larger = cluster_of(from);
  larger.gpus = 4;
  EXPECT_EQ(plan_migration(from, from, larger, {}).error().code, ErrorCode::kInvalidInput);
}

TEST(Decision, adopts_only_what_gains_more_than_the_loss_and_the_guard) {
  MigrationStakes stakes{
      .moves = 1, .step_before = milliseconds(30), .step_after = milliseconds(29), .lost = duration<double>(0.8)};
  EXPECT_TRUE(decide(stakes).is_adopt);
  stakes.lost = duration<double>(0.95);
  EXPECT_FALSE(decide(stakes).is_adopt);
  stakes.guard_ratio = 0;
  EXPECT_TRUE(decide(stakes).is_adopt);
  stakes.steps = 900;
  EXPECT_FALSE(decide(stakes).is_adopt);
}

TEST(Decision, keeps_what_saves_nothing_or_moves_nothing) {
  MigrationStakes stakes{.moves = 1, .step_before = milliseconds(30), .step_after = milliseconds(30)};
  EXPECT_FALSE(decide(stakes).is_adopt);
  EXPECT_NE(decide(stakes).reason.find("nothing is saved"), std::string::npos);
  stakes = {.moves = 0, .step_before = milliseconds(30), .step_after = milliseconds(29)};
  EXPECT_FALSE(decide(stakes).is_adopt);
}

}  // namespace
}  // namespace evenkeel::migrate_test
