#include "partition/model/placement.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "partition/model/cluster.h"
#include "partition/model/migration.h"

namespace evenkeel::placement_test {
namespace {

Placement::Fields small_fields() {
  Placement::Fields fields{{3, 4}, 4, 1, {2, 2}, Grid<ExpertIndex>(2, 4), std::nullopt};
  for (std::size_t layer = 0; layer < 2; ++layer) {
    for (std::size_t slot = 0; slot < 4; ++slot) fields.expert_of_slot(layer, slot) = static_cast<ExpertIndex>(slot);
  }
  return fields;
}

TEST(Placement, accepts_a_valid_map_and_tells_where_slots_are) {
  const auto placement = Placement::create(small_fields());
  ASSERT_TRUE(placement);
  EXPECT_EQ(placement->gpu_of(SlotId(1)), GpuId(0));
  EXPECT_EQ(placement->gpu_of(SlotId(2)), GpuId(1));
  EXPECT_EQ(placement->hosted(LayerId(1), GpuId(1))[0], 2);
  EXPECT_DOUBLE_EQ(placement->share(LayerId(0), SlotId(0)), 1.0);
  EXPECT_EQ(placement->redundant(), 0U);
}

TEST(Placement, splits_an_expert_evenly_over_its_replicas) {
  const auto placement = contiguous_placement({0}, 4, 2, 2, 1);
  ASSERT_TRUE(placement);
  EXPECT_DOUBLE_EQ(placement->share(LayerId(0), SlotId(0)), 0.5);
  EXPECT_DOUBLE_EQ(placement->share(LayerId(0), SlotId(2)), 1.0);
  EXPECT_DOUBLE_EQ(placement->share(LayerId(0), SlotId(4)), 0.5);
}

TEST(Placement, refuses_a_layer_without_an_expert_by_name) {
  auto fields = small_fields();
  fields.expert_of_slot(1, 2) = 0;
  const auto placement = Placement::create(fields);
  ASSERT_FALSE(placement);
  EXPECT_EQ(placement.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(placement.error().message, "placement: layer 4 has no slot for expert 2; every expert needs at least one");
}

TEST(Placement, refuses_experts_out_of_range_and_shares_that_do_not_add_up) {
  auto fields = small_fields();
  fields.expert_of_slot(0, 0) = 9;
  EXPECT_FALSE(Placement::create(fields));
  fields = small_fields();
  fields.shares = Grid<double>(2, 4, 1.0);
  EXPECT_TRUE(Placement::create(fields));
  (*fields.shares)(1, 1) = 0.5;
  EXPECT_FALSE(Placement::create(fields));
}

TEST(Placement, names_the_redundant_slots_that_would_divide) {
  const auto slots = equal_slots_per_gpu(61, 1, 8);
  ASSERT_FALSE(slots);
  EXPECT_EQ(slots.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(slots.error().message.find("3 redundant slots would"), std::string::npos);
}

TEST(Cluster, divides_gpus_over_nodes_or_says_that_it_cannot) {
  Cluster cluster;
  cluster.gpus = 8;
  cluster.nodes = 2;
  EXPECT_TRUE(cluster.validate());
  EXPECT_EQ(cluster.node_of(GpuId(3)), NodeId(0));
  EXPECT_EQ(cluster.node_of(GpuId(4)), NodeId(1));
  EXPECT_DOUBLE_EQ(cluster.intra_node_cost_ratio(), 50.0 / 450.0);
  cluster.nodes = 3;
  EXPECT_EQ(cluster.validate().error().code, ErrorCode::kInfeasible);
}

TEST(Migration, copies_what_a_gpu_lacks_from_the_nearest_holder) {
  const auto from = contiguous_placement({0}, 8, 0, 4, 2);
  auto fields = from->fields();
  std::swap(fields.expert_of_slot(0, 0), fields.expert_of_slot(0, 2));  // GPUs 0 and 1, one node
  std::swap(fields.expert_of_slot(0, 4), fields.expert_of_slot(0, 5));  // inside GPU 2
  const auto to = Placement::create(fields);
  const auto moves = migration(*from, *to);
  ASSERT_TRUE(moves);
  const std::vector<ExpertCopy> expected{{LayerId(0), ExpertId(2), GpuId(1), GpuId(0)},
                                         {LayerId(0), ExpertId(0), GpuId(0), GpuId(1)}};
  EXPECT_EQ(moves->copies, expected);
  EXPECT_DOUBLE_EQ(moves->churn, 2.0 / 8.0);
}

TEST(Migration, refuses_placements_of_different_shape) {
  const auto from = contiguous_placement({0}, 8, 0, 4, 2);
  const auto to = contiguous_placement({0}, 8, 0, 2, 2);
  EXPECT_FALSE(migration(*from, *to));
}

/// One layer on two GPUs.
Placement two_gpus(std::size_t experts, const std::vector<ExpertIndex>& slots) {
  Placement::Fields fields{{0}, experts, 1, {}, Grid<ExpertIndex>(1, slots.size()), std::nullopt};
  fields.slots_of_gpu.assign(2, static_cast<std::uint32_t>(slots.size() / 2));
  std::ranges::copy(slots, fields.expert_of_slot[0].begin());
  return *Placement::create(fields);
}

TEST(KeepSlots, leaves_what_stays_in_place_and_fills_the_rest_in_order) {
  const auto kept = keep_slots(two_gpus(6, {0, 1, 2, 3, 4, 5}), two_gpus(6, {3, 2, 4, 1, 0, 5}));
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(*kept, two_gpus(6, {3, 4, 2, 1, 0, 5}));
}

TEST(KeepSlots, keeps_as_many_copies_as_both_hold) {
  const auto kept = keep_slots(two_gpus(4, {0, 0, 1, 2, 3, 3}), two_gpus(4, {1, 2, 0, 3, 0, 3}));
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, two_gpus(4, {0, 2, 1, 0, 3, 3}));
}

TEST(KeepSlots, moves_shares_with_their_experts) {
  auto fields = two_gpus(3, {0, 1, 0, 2}).fields();
  fields.shares = Grid<double>(1, 4, 1.0);
  (*fields.shares)(0, 0) = 0.25;
  (*fields.shares)(0, 2) = 0.75;
  const auto kept = keep_slots(two_gpus(3, {1, 0, 2, 0}), *Placement::create(fields));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->fields().expert_of_slot, two_gpus(3, {1, 0, 2, 0}).fields().expert_of_slot);
  EXPECT_DOUBLE_EQ(kept->share(LayerId(0), SlotId(1)), 0.25);
  EXPECT_DOUBLE_EQ(kept->share(LayerId(0), SlotId(3)), 0.75);
}

TEST(KeepSlots, refuses_other_models) {
  EXPECT_FALSE(keep_slots(two_gpus(4, {0, 1, 2, 3}), two_gpus(3, {0, 1, 2, 0})));
}

TEST(KeepSlots, keeps_what_it_can_where_gpus_get_other_numbers_of_slots) {
  const auto kept = keep_slots(two_gpus(4, {0, 1, 2, 3}), two_gpus(4, {2, 1, 0, 0, 3, 2}));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->fields().expert_of_slot, two_gpus(4, {0, 1, 2, 2, 3, 0}).fields().expert_of_slot);
}

}  // namespace
}  // namespace evenkeel::placement_test
