#include "partition/cost/verify.h"

#include <gtest/gtest.h>

#include "tests/partition/fixtures.h"

namespace evenkeel::verify_test {
namespace {

const Cluster kCluster{.gpus = 2, .nodes = 1};

RoutingProfile profile() { return testing::loads_profile({{40, 30, 20, 10}}); }

Placement with_row(std::vector<ExpertIndex> row) {
  Placement::Fields fields{{0},
                           4,
                           1,
                           {static_cast<std::uint32_t>(row.size() / 2), static_cast<std::uint32_t>(row.size() / 2)},
                           Grid<ExpertIndex>(1, row.size()),
                           std::nullopt};
  std::ranges::copy(row, fields.expert_of_slot[0].begin());
  return *Placement::create(std::move(fields));
}

TEST(Verifier, passes_a_placement_within_its_cap) {
  const std::vector<double> z_star{1.0};
  EXPECT_TRUE(verify(with_row({0, 3, 1, 2}), profile(), kCluster, 0, z_star, 0.0));
}

TEST(Verifier, catches_a_load_above_the_cap) {
  const std::vector<double> z_star{1.0};
  const auto status = verify(with_row({0, 2, 1, 3}), profile(), kCluster, 0, z_star, 0.05);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("layer 0 GPU 0 carries 1.2"), std::string::npos) << status.error().message;
  EXPECT_TRUE(verify(with_row({0, 2, 1, 3}), profile(), kCluster, 0, z_star, 0.2));
}

TEST(Verifier, catches_an_expert_twice_on_a_gpu) {
  EXPECT_TRUE(verify(with_row({0, 1, 2, 0, 1, 3}), profile(), kCluster, 2, {}, 0.0));
  const auto status = verify(with_row({0, 0, 1, 2, 3, 1}), profile(), kCluster, 2, {}, 0.0);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("expert 0 twice on GPU 0"), std::string::npos);
}

TEST(Verifier, catches_slots_that_were_not_asked_for) {
  EXPECT_FALSE(verify(with_row({0, 1, 2, 0, 1, 3}), profile(), kCluster, 0, {}, 0.0));
  EXPECT_FALSE(verify(with_row({0, 3, 1, 2}), profile(), {.gpus = 4, .nodes = 1}, 0, {}, 0.0));
  EXPECT_FALSE(
      verify(with_row({0, 3, 1, 2}), testing::loads_profile({{1, 1, 1, 1}, {1, 1, 1, 1}}), kCluster, 0, {}, 0.0));
}

}  // namespace
}  // namespace evenkeel::verify_test
