#include "partition/baseline/eplb.h"

#include <gtest/gtest.h>

#include "tests/partition/fixtures.h"

namespace evenkeel::eplb_test {
namespace {

TEST(Eplb, reproduces_the_published_map) {
  // The example of EPLB's README: 16 slots, 4 groups, 2 nodes, 8 GPUs.
  const auto profile = testing::loads_profile(
      {{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86}, {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}});
  const auto placement = eplb_hierarchical_placement(profile, {.gpus = 8, .nodes = 2}, 4, 4);
  ASSERT_TRUE(placement);
  const std::vector<std::vector<ExpertIndex>> published{{5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1},
                                                        {7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1}};
  for (std::size_t layer = 0; layer < 2; ++layer) {
    const auto row = placement->row(LayerId(layer));
    EXPECT_EQ(std::vector<ExpertIndex>(row.begin(), row.end()), published[layer]);
  }
}

TEST(Eplb, packs_without_regard_to_nodes_unless_it_is_the_hierarchical_one) {
  const auto profile = testing::loads_profile({{8, 7, 6, 5, 4, 3, 2, 1}});
  const auto placement = eplb_placement(profile, {.gpus = 4, .nodes = 2}, 0);
  ASSERT_TRUE(placement);
  const auto row = placement->row(LayerId(0));
  EXPECT_EQ(std::vector<ExpertIndex>(row.begin(), row.end()), (std::vector<ExpertIndex>{0, 7, 1, 6, 2, 5, 3, 4}));
  // Two groups, the first of them the heavier: experts 0 to 3 stay on node 0.
  const auto hierarchical = eplb_hierarchical_placement(profile, {.gpus = 4, .nodes = 2}, 0, 2);
  ASSERT_TRUE(hierarchical);
  const auto grouped = hierarchical->row(LayerId(0));
  EXPECT_EQ(std::vector<ExpertIndex>(grouped.begin(), grouped.end()),
            (std::vector<ExpertIndex>{0, 3, 1, 2, 4, 7, 5, 6}));
}

TEST(Eplb, refuses_groups_that_do_not_divide_over_the_nodes) {
  const auto profile = testing::loads_profile({{8, 7, 6, 5, 4, 3, 2, 1}});
  const auto refused = [&](std::size_t groups, const char* words) {
    const auto placement = eplb_hierarchical_placement(profile, {.gpus = 6, .nodes = 3}, 4, groups);
    ASSERT_FALSE(placement);
    EXPECT_EQ(placement.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(placement.error().message.find(words), std::string::npos) << placement.error().message;
  };
  refused(1, "1 group does not divide over 3 nodes");
  refused(2, "2 groups do not divide over 3 nodes");
  EXPECT_TRUE(eplb_hierarchical_placement(profile, {.gpus = 4, .nodes = 1}, 0, 2)) << "one node takes any";
}

}  // namespace
}  // namespace evenkeel::eplb_test
