// Numbers of copies, uneven splits and second copies, with loads alone and with communication.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "partition/cost/metrics.h"
#include "partition/cost/verify.h"
#include "partition/place.h"
#include "partition/slots/replica_search.h"
#include "partition/slots/rows.h"
#include "partition/slots/split.h"
#include "partition/slots/spread_nodes.h"
#include "tests/partition/fixtures.h"
#include "tests/partition/searching.h"

namespace evenkeel::replication_test {
namespace {

/// The example of FlashLB (vllm-ascend): 1,450 tokens on 8 GPUs of 2 slots.
RoutingProfile flashlb_profile() { return testing::loads_profile({{600, 560, 120, 120, 20, 10, 10, 10}}); }
constexpr double kFlashlbMean = 181.25;

PlaceOptions options_of(std::size_t redundant, ReplicaSplit split = ReplicaSplit::kEven, std::size_t threads = 1) {
  PlaceOptions options;
  options.problem.redundant = redundant;
  options.problem.split = split;
  options.effort.work_units = 2'000'000;
  options.effort.threads = threads;
  return options;
}

double largest_tokens(const RoutingProfile& profile, const Placement& placement) {
  const Grid<double> load = gpu_load_tokens(profile.total_load(), placement);
  return std::ranges::max(load[0]);
}

std::size_t duplicates(const Placement& placement) {
  std::size_t count = 0;
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) {
    for (std::size_t gpu = 0; gpu < placement.gpus(); ++gpu) {
      const auto hosted = placement.hosted(LayerId(layer), GpuId(gpu));
      count += hosted.size() - std::set<ExpertIndex>(hosted.begin(), hosted.end()).size();
    }
  }
  return count;
}

TEST(Replication, finds_copies_that_the_greedy_rule_does_not) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    PlaceOptions options = options_of(8);
    options.effort.seed = seed;
    const auto solution = place(flashlb_profile(), {.gpus = 8}, options);
    ASSERT_TRUE(solution) << solution.error().message;
    EXPECT_LE(largest_tokens(flashlb_profile(), solution->placement), 590.0 / 3 + 1e-9) << seed;
    EXPECT_EQ(duplicates(solution->placement), 0U);
    EXPECT_FALSE(solution->placement.fields().shares);
  }
  const auto lpt = place(flashlb_profile(), {.gpus = 8}, [] {
    PlaceOptions options = options_of(8);
    options.strategy = Strategy::kLpt;
    return options;
  }());
  EXPECT_GT(largest_tokens(flashlb_profile(), lpt->placement), 200) << "the greedy copies show nothing";
}

TEST(Replication, splits_unevenly_down_to_the_mean) {
  const auto solution = place(flashlb_profile(), {.gpus = 8}, options_of(8, ReplicaSplit::kUneven));
  ASSERT_TRUE(solution) << solution.error().message;
  EXPECT_NEAR(largest_tokens(flashlb_profile(), solution->placement), kFlashlbMean, 1e-9);
  EXPECT_TRUE(solution->placement.fields().shares);
  EXPECT_EQ(duplicates(solution->placement), 0U);
  EXPECT_EQ(solution->status, SolveStatus::kOptimal);
  EXPECT_LE(*solution->certificate.bound, solution->certificate.value + 1e-12);
}

TEST(Replication, is_the_same_for_one_thread_and_two) {
  const auto profile = testing::loads_profile(
      {{600, 560, 120, 120, 20, 10, 10, 10}, {90, 80, 70, 10, 10, 5, 5, 1}, {1000, 1, 1, 1, 1, 1, 1, 1}});
  for (const ReplicaSplit split : {ReplicaSplit::kEven, ReplicaSplit::kUneven}) {
    const auto one = place(profile, {.gpus = 8}, options_of(8, split, 1));
    const auto two = place(profile, {.gpus = 8}, options_of(8, split, 2));
    EXPECT_EQ(one->placement, two->placement);
  }
}

/// Least largest load over all splits: the largest, over sets of experts, of load over GPUs that hold one of them.
double brute_force_split(std::span<const std::uint64_t> load, std::span<const ExpertIndex> expert_of_slot,
                         std::span<const std::uint16_t> gpu_of_slot) {
  double largest = 0;
  for (std::uint32_t chosen = 1; chosen < (1U << load.size()); ++chosen) {
    double tokens = 0;
    for (std::size_t expert = 0; expert < load.size(); ++expert)
      tokens += (chosen >> expert & 1U) != 0 ? static_cast<double>(load[expert]) : 0.0;
    std::set<std::uint16_t> holders;
    for (std::size_t slot = 0; slot < expert_of_slot.size(); ++slot)
      if ((chosen >> expert_of_slot[slot] & 1U) != 0) holders.insert(gpu_of_slot[slot]);
    largest = std::max(largest, tokens / static_cast<double>(holders.size()));
  }
  return largest;
}

TEST(Split, is_the_least_largest_load_of_all_splits) {
  constexpr std::size_t kExperts = 7;
  constexpr std::size_t kGpus = 5;
  int uneven = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed, 0);
    std::vector<std::uint64_t> load;
    for (std::size_t expert = 0; expert < kExperts; ++expert) load.push_back(random.below(100) * random.below(100));
    std::vector<ExpertIndex> expert_of_slot(kGpus * 3);
    std::vector<std::uint16_t> gpu_of_slot;
    for (std::size_t slot = 0; slot < expert_of_slot.size(); ++slot) {
      expert_of_slot[slot] = static_cast<ExpertIndex>(slot < kExperts ? slot : random.below(kExperts));
      gpu_of_slot.push_back(static_cast<std::uint16_t>(slot / 3));
    }
    const LayerSplit split = split_layer(load, expert_of_slot, gpu_of_slot, kGpus);
    const double least = brute_force_split(load, expert_of_slot, gpu_of_slot);
    EXPECT_NEAR(split.largest_load, least, 1e-9 * least);
    std::vector<double> gpu_load(kGpus), whole(kExperts), even(kGpus);
    std::vector<double> copies(kExperts);
    for (const ExpertIndex expert : expert_of_slot) ++copies[expert];
    for (std::size_t slot = 0; slot < expert_of_slot.size(); ++slot) {
      const auto tokens = static_cast<double>(load[expert_of_slot[slot]]);
      EXPECT_GE(split.share_of_slot[slot], 0.0);
      whole[expert_of_slot[slot]] += split.share_of_slot[slot];
      gpu_load[gpu_of_slot[slot]] += tokens * split.share_of_slot[slot];
      even[gpu_of_slot[slot]] += tokens / copies[expert_of_slot[slot]];
    }
    for (const double sum : whole) EXPECT_NEAR(sum, 1.0, 1e-12);
    EXPECT_NEAR(std::ranges::max(gpu_load), least, 1e-9 * least);
    uneven += std::ranges::max(even) > least * 1.01 ? 1 : 0;
  }
  EXPECT_GT(uneven, 100) << "cases that an even split solves show nothing";
}

TEST(Split, takes_the_largest_counts_and_a_layer_without_load) {
  const std::vector<ExpertIndex> expert_of_slot{0, 1, 0, 2};
  const std::vector<std::uint16_t> gpu_of_slot{0, 0, 1, 1};
  const std::vector<std::uint64_t> most{kLayerTokensMax - 3, 1, 2};
  EXPECT_DOUBLE_EQ(split_layer(most, expert_of_slot, gpu_of_slot, 2).largest_load, kLayerTokensMax / 2.0);
  const LayerSplit none = split_layer(std::vector<std::uint64_t>{0, 0, 0}, expert_of_slot, gpu_of_slot, 2);
  EXPECT_EQ(none.largest_load, 0.0);
  EXPECT_EQ(none.share_of_slot, (std::vector<double>{0.5, 1.0, 0.5, 1.0}));
}

TEST(Replication, lowers_the_load_of_what_communication_asked_for) {
  const auto profile = testing::structured_profile({4, 16, 2, 1000}, 3);
  for (const Objective& objective : {Objective{}, testing::dispatch()}) {
    PlaceOptions options = options_of(8);
    options.problem.objective = objective;
    options.problem.load_slack_ratio = 0.1;
    const auto even = place(profile, {.gpus = 4, .nodes = 2}, options);
    options.problem.split = ReplicaSplit::kUneven;
    const auto uneven = place(profile, {.gpus = 4, .nodes = 2}, options);
    ASSERT_TRUE(even && uneven);
    EXPECT_LT(mean_of_loaded(peak_ratios(profile, uneven->placement)),
              mean_of_loaded(peak_ratios(profile, even->placement)) - 0.005);
    EXPECT_FALSE(uneven->certificate.bound) << "it would be of an even split";
  }
}

TEST(Survival, leaves_a_copy_of_every_expert_whatever_gpu_or_node_is_lost) {
  for (const Cluster& cluster :
       {Cluster{.gpus = 4, .nodes = 1}, Cluster{.gpus = 8, .nodes = 2}, Cluster{.gpus = 8, .nodes = 4}}) {
    for (const bool has_paths : {false, true}) {
      auto profile = testing::structured_profile({3, 16, 2, 600}, 5);
      if (!has_paths) profile.paths = {};
      for (const std::size_t redundant : {16U, 24U}) {
        PlaceOptions options = options_of(redundant);
        options.problem.survive = 1;
        const auto solution = place(profile, cluster, options);
        ASSERT_TRUE(solution) << solution.error().message;
        EXPECT_TRUE(verify_survival(solution->placement));
        EXPECT_EQ(duplicates(solution->placement), 0U);
      }
    }
  }
}

TEST(Survival, keeps_second_copies_that_loads_alone_would_give_away) {
  PlaceOptions options = options_of(8);
  EXPECT_FALSE(verify_survival(place(flashlb_profile(), {.gpus = 8}, options)->placement));
  options.problem.survive = 1;
  for (const ReplicaSplit split : {ReplicaSplit::kEven, ReplicaSplit::kUneven}) {
    options.problem.split = split;
    EXPECT_TRUE(verify_survival(place(flashlb_profile(), {.gpus = 8}, options)->placement));
  }
}

TEST(Survival, names_the_smallest_number_of_slots_that_works) {
  const auto profile = testing::loads_profile({{5, 4, 3, 2, 1, 1}});
  PlaceOptions options = options_of(2);
  options.problem.survive = 1;
  const auto refused = place(profile, {.gpus = 8}, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(refused.error().message.find("10 would do"), std::string::npos) << refused.error().message;
  options.problem.redundant = 10;
  const auto enough = place(profile, {.gpus = 8}, options);
  ASSERT_TRUE(enough) << enough.error().message;
  EXPECT_TRUE(verify_survival(enough->placement));
  options.strategy = Strategy::kEplb;
  EXPECT_EQ(place(profile, {.gpus = 8}, options).error().code, ErrorCode::kInvalidInput);
}

TEST(Survival, is_refused_by_the_verifier_where_a_copy_is_missing) {
  const auto placement = [](std::vector<ExpertIndex> experts, std::size_t nodes) {
    Placement::Fields fields{{0}, 2, nodes, {1, 1, 1, 1}, Grid<ExpertIndex>(1, 4), std::nullopt};
    std::ranges::copy(experts, fields.expert_of_slot[0].begin());
    return *Placement::create(std::move(fields));
  };
  EXPECT_TRUE(verify_survival(placement({0, 0, 1, 1}, 1)));
  EXPECT_FALSE(verify_survival(placement({0, 0, 1, 1}, 2)));
  EXPECT_TRUE(verify_survival(placement({0, 1, 0, 1}, 2)));
  EXPECT_FALSE(verify_survival(placement({0, 0, 0, 1}, 1)));
}

}  // namespace
}  // namespace evenkeel::replication_test
