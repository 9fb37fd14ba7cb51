#include "partition/model/joined_windows.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "partition/foundation/random.h"

namespace evenkeel::joined_windows_test {
namespace {

constexpr std::size_t kLayers = 4;
constexpr std::size_t kExperts = 16;

/// A window in which expert e has `weights`[e] parts of the choices, drawn by chance.
StageLoad drawn(const std::vector<std::uint32_t>& weights, std::size_t choices, Random& random) {
  std::vector<ExpertIndex> lots;
  for (std::size_t expert = 0; expert < weights.size(); ++expert)
    lots.insert(lots.end(), weights[expert], static_cast<ExpertIndex>(expert));
  StageLoad window{.tokens = choices, .load_tokens = Grid<std::uint64_t>(kLayers, kExperts)};
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    for (std::size_t i = 0; i < choices; ++i)
      ++window.load_tokens(layer, lots[random.below(static_cast<std::uint32_t>(lots.size()))]);
  }
  return window;
}

RoutingProfile profile_of(std::vector<StageLoad> windows) {
  return {{{0, 1, 2, 3}, kExperts, {}}, std::move(windows), {}};
}

std::vector<std::uint32_t> skewed(std::size_t hottest) {
  std::vector<std::uint32_t> weights(kExperts, 2);
  weights[hottest] = 20;
  return weights;
}

TEST(JoinedWindows, become_one_where_they_are_steps_of_one_traffic) {
  Random random(1, 0);
  for (const std::size_t steps : {2U, 3U, 60U, 300U}) {
    std::vector<StageLoad> windows;
    for (std::size_t step = 0; step < steps; ++step) windows.push_back(drawn(skewed(3), 200, random));
    RoutingProfile profile = profile_of(windows);
    const Grid<std::uint64_t> before = profile.total_load();
    const JoinedWindows joined = join_windows(profile);
    EXPECT_EQ(joined.before, steps);
    EXPECT_EQ(joined.after, 1U);
    EXPECT_NE(joined.note().find("no more than chance"), std::string::npos);
    EXPECT_EQ(profile.total_load(), before);
    EXPECT_EQ(profile.windows.front().tokens, 200 * steps);
  }
}

TEST(JoinedWindows, stay_apart_where_the_traffic_changes) {
  Random random(2, 0);
  std::vector<StageLoad> windows;
  for (std::size_t workload = 0; workload < 6; ++workload) windows.push_back(drawn(skewed(workload), 5000, random));
  RoutingProfile profile = profile_of(windows);
  EXPECT_FALSE(join_windows(profile).is_change());
  EXPECT_EQ(profile.windows, windows);
}

TEST(JoinedWindows, are_joined_as_far_as_their_noise_goes) {
  // 64 steps of which every 16 are one workload: too short each to tell it, long enough together.
  Random random(3, 0);
  std::vector<StageLoad> windows;
  for (std::size_t step = 0; step < 64; ++step) windows.push_back(drawn(skewed(step / 16), 40, random));
  RoutingProfile profile = profile_of(windows);
  const JoinedWindows joined = join_windows(profile);
  EXPECT_GE(joined.after, 4U);
  EXPECT_LE(joined.after, 32U);
}

TEST(JoinedWindows, leave_out_those_without_load_and_keep_stages_apart) {
  Random random(4, 0);
  const StageLoad empty{.load_tokens = Grid<std::uint64_t>(kLayers, kExperts)};
  RoutingProfile padded =
      profile_of({drawn(skewed(1), 5000, random), empty, drawn(skewed(9), 5000, random), empty, empty});
  EXPECT_EQ(join_windows(padded).after, 2U);
  RoutingProfile nothing = profile_of({empty, empty});
  EXPECT_EQ(join_windows(nothing).after, 1U);
  RoutingProfile stages = profile_of({drawn(skewed(1), 200, random), drawn(skewed(1), 200, random)});
  stages.windows[0].stage = Stage::kPrefill;
  stages.windows[1].stage = Stage::kDecode;
  EXPECT_EQ(join_windows(stages).after, 2U);
}

}  // namespace
}  // namespace evenkeel::joined_windows_test
