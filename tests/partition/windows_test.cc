#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "partition/cost/verify.h"
#include "partition/place.h"
#include "tests/partition/fixtures.h"

namespace evenkeel::windows_test {
namespace {

const Cluster kCluster{.gpus = 4, .nodes = 1};

/// Structured routing whose tokens fall into as many windows, every one with favourites of its own beside.
RoutingProfile windowed_profile(std::size_t windows, std::uint64_t seed) {
  RoutingProfile profile = testing::structured_profile({4, 16, 2, 400}, seed);
  const StageLoad all = profile.windows.front();
  profile.windows.assign(windows, all);
  for (std::size_t window = 0; window < windows; ++window) {
    for (std::size_t layer = 0; layer < all.load_tokens.rows(); ++layer) {
      for (std::size_t expert = window; expert < profile.shape.experts; expert += windows)
        profile.windows[window].load_tokens(layer, expert) += 40 + 10 * (expert % 3);
    }
  }
  return profile;
}

/// The measure of one layer, counted apart from the solver: the mean of the worst windows' max / mean.
double robust_peak(const RoutingProfile& profile, const Placement& placement, std::size_t layer, std::size_t worst) {
  const auto& fields = placement.fields();
  const std::size_t slots = placement.slots() / kCluster.gpus;
  std::vector<double> peaks;
  for (const StageLoad& window : profile.windows) {
    std::vector<double> load(kCluster.gpus, 0.0);
    for (std::size_t slot = 0; slot < placement.slots(); ++slot) {
      load[slot / slots] += static_cast<double>(window.load_tokens(layer, fields.expert_of_slot(layer, slot))) *
                            placement.share(LayerId(layer), SlotId(slot));
    }
    const double total = std::accumulate(load.begin(), load.end(), 0.0);
    if (total > 0) peaks.push_back(std::ranges::max(load) * static_cast<double>(load.size()) / total);
  }
  std::ranges::sort(peaks, std::greater<>());
  peaks.resize(std::min(worst, peaks.size()));
  return std::accumulate(peaks.begin(), peaks.end(), 0.0) / static_cast<double>(peaks.size());
}

double mean_robust_peak(const RoutingProfile& profile, const Placement& placement, std::size_t worst) {
  double sum = 0;
  for (std::size_t layer = 0; layer < placement.layers(); ++layer) sum += robust_peak(profile, placement, layer, worst);
  return sum / static_cast<double>(placement.layers());
}

Solution solved(const RoutingProfile& profile, const PlaceOptions& options) {
  auto solution = place(profile, kCluster, options);
  EXPECT_TRUE(solution) << solution.error().message;
  return *std::move(solution);
}

PlaceOptions options_with(std::optional<Robust> robust, double slack_ratio) {
  PlaceOptions options;
  options.problem.load_slack_ratio = slack_ratio;
  options.effort.work_units = 2'000'000;
  options.problem.robust = robust;
  return options;
}

/// A measure of four windows, and how many of the worst it is the mean of.
struct Measure {
  Robust robust;
  std::size_t worst;
};
const Measure kMeasures[] = {{{0.0}, 4}, {{1.0}, 1}, {{0.5}, 2}};

TEST(Windows, have_a_measure_between_their_mean_and_their_worst) {
  std::vector<double> peaks{1.0, 4.0, 2.0, 3.0};
  EXPECT_DOUBLE_EQ(Robust{0.0}.of(std::span(peaks)), 2.5);
  EXPECT_DOUBLE_EQ(Robust{0.5}.of(std::span(peaks)), 3.5);
  EXPECT_DOUBLE_EQ(Robust{0.625}.of(std::span(peaks)), (4.0 + 0.5 * 3.0) / 1.5);
  EXPECT_DOUBLE_EQ(Robust{1.0}.of(std::span(peaks)), 4.0);
}

TEST(Windows, are_fitted_better_at_once_than_added_up) {
  for (const auto& [robust, worst] : kMeasures) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      RoutingProfile profile = windowed_profile(4, seed);
      profile.paths = {};
      const auto apart = solved(profile, options_with(robust, 0.0));
      const auto added_up = solved(profile, options_with(std::nullopt, 0.0));
      EXPECT_LT(mean_robust_peak(profile, apart.placement, worst),
                mean_robust_peak(profile, added_up.placement, worst));
    }
  }
}

TEST(Windows, keep_every_layer_within_its_cap) {
  const RoutingProfile profile = windowed_profile(4, 1);
  for (const Comm comm : {Comm::kResident, Comm::kDispatch}) {
    for (const std::size_t redundant : {std::size_t{0}, std::size_t{4}}) {
      for (const auto& [robust, worst] : kMeasures) {
        PlaceOptions options = options_with(robust, 0.05);
        options.problem.redundant = redundant;
        options.problem.objective.comm = comm;
        const auto solution = solved(profile, options);
        for (std::size_t layer = 0; layer < profile.shape.layers(); ++layer) {
          const double cap = 1.05 * solution.certificate.z_star[layer];
          EXPECT_LE(robust_peak(profile, solution.placement, layer, worst), cap + 1e-6);
        }
        EXPECT_GT(solution.stages.front().value_before, solution.stages.back().value_after);
      }
    }
  }
}

TEST(Windows, beyond_their_cap_are_refused_by_the_verifier) {
  const RoutingProfile profile = windowed_profile(4, 1);
  const auto placement = solved(profile, options_with(Robust{}, 0.0)).placement;
  std::vector<double> z_star;
  for (std::size_t layer = 0; layer < placement.layers(); ++layer)
    z_star.push_back(robust_peak(profile, placement, layer, 4));
  EXPECT_TRUE(verify_windows(placement, profile, Robust{}, z_star, 0.0));
  z_star[2] /= 1.01;
  EXPECT_TRUE(verify_windows(placement, profile, Robust{}, z_star, 0.02));
  const auto status = verify_windows(placement, profile, Robust{}, z_star, 0.0);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("layer 2"), std::string::npos) << status.error().message;
}

TEST(Windows, change_nothing_where_there_is_one) {
  for (const bool has_paths : {true, false}) {
    RoutingProfile profile = windowed_profile(1, 2);
    if (!has_paths) profile.paths = {};
    const auto plain = solved(profile, options_with(std::nullopt, 0.02));
    EXPECT_EQ(solved(profile, options_with(Robust{1.0}, 0.02)).placement, plain.placement);
  }
}

TEST(Windows, without_load_in_a_layer_do_not_count) {
  RoutingProfile profile = windowed_profile(3, 1);
  const auto expected = solved(profile, options_with(Robust{}, 0.02));
  profile.windows.insert(profile.windows.begin() + 1, StageLoad{.load_tokens = Grid<std::uint64_t>(4, 16)});
  EXPECT_EQ(solved(profile, options_with(Robust{}, 0.02)).placement, expected.placement);
}

TEST(Windows, are_fitted_the_same_on_one_thread_and_two) {
  const RoutingProfile profile = windowed_profile(4, 3);
  PlaceOptions options = options_with(Robust{0.5}, 0.05);
  options.effort.threads = 1;
  const auto one = solved(profile, options);
  options.effort.threads = 2;
  EXPECT_EQ(solved(profile, options).placement, one.placement);
}

}  // namespace
}  // namespace evenkeel::windows_test
