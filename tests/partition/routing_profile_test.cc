#include "partition/model/routing_profile.h"

#include <gtest/gtest.h>

#include "tests/partition/fixtures.h"

namespace evenkeel::routing_profile_test {
namespace {

TEST(Transitions, weigh_each_token_once_over_all_its_pairs) {
  RoutingProfile profile;
  profile.shape = {{0, 1}, 4, std::nullopt};
  profile.paths = {2, {0, 1}, {0, 1, 2, 3, /* one real choice */ 0, kNoExpert, 2, 3}, {0, 2}};
  const auto tables = transitions(profile);
  ASSERT_EQ(tables.size(), 1U);
  EXPECT_DOUBLE_EQ(tables[0].tokens(0, 2), 0.25 + 0.5);
  EXPECT_DOUBLE_EQ(tables[0].tokens(1, 3), 0.25);
  EXPECT_DOUBLE_EQ(tables[0].total_tokens, 2.0);
}

TEST(Transitions, pass_over_tokens_without_a_real_expert) {
  RoutingProfile profile;
  profile.shape = {{0, 1}, 2, std::nullopt};
  profile.paths = {1, {0, 1}, {kNoExpert, 1, 0, 1}, {0, 2}};
  const auto tables = transitions(profile);
  EXPECT_DOUBLE_EQ(tables[0].total_tokens, 1.0);
  EXPECT_DOUBLE_EQ(tables[0].tokens(0, 1), 1.0);
}

TEST(Transitions, add_up_to_the_tokens_of_every_round_pair) {
  const auto profile = testing::structured_profile({5, 16, 3, 300}, 7);
  for (const TransitionTable& table : transitions(profile)) {
    const auto cells = table.tokens.cells();
    EXPECT_NEAR(std::accumulate(cells.begin(), cells.end(), 0.0), 300.0, 1e-9);
  }
}

TEST(Transitions, are_none_with_loads_alone) { EXPECT_TRUE(transitions(testing::loads_profile({{1, 2}})).empty()); }

}  // namespace
}  // namespace evenkeel::routing_profile_test
