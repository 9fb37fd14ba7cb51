// The policy over days of traffic, beside EPLB from scratch every N windows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "partition/model/model_spec.h"
#include "pipeline/replay/lane.h"
#include "pipeline/replay/replay_window.h"
#include "pipeline/synth/synth_trace.h"

namespace evenkeel::policy_day_test {
namespace {

constexpr std::size_t kFirstWindow = 5;

/// The windows of a recorded day.
using Day = std::vector<RoutingProfile>;

Day read_day(const std::filesystem::path& path) {
  Day day;
  WindowReader reader(std::nullopt, std::nullopt, [&](const RoutingProfile& window) -> Status {
    day.push_back(window);
    return {};
  });
  const Status read = read_recordings({path}, {}, reader);
  EXPECT_TRUE(read) << read.error().message;
  EXPECT_TRUE(reader.finish());
  return day;
}

/// A made-up day of 40 windows.
Day made_up_day(std::size_t tokens, double drift, std::optional<std::size_t> shift_at, std::uint64_t seed) {
  ModelSpec model;
  model.name = "6 x 32";
  model.hidden_layers = 6;
  model.moe_layer_ids = {0, 1, 2, 3, 4, 5};
  model.experts = 32;
  model.top_k = 4;
  SynthOptions options;
  options.tokens = tokens;
  options.windows = 40;
  options.drift = drift;
  options.shift_at = shift_at;
  options.seed = seed;
  std::string folder = (std::filesystem::temp_directory_path() / "evenkeel-day-XXXXXX").string();
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  const auto path = std::filesystem::path(folder) / "day.npz";
  EXPECT_TRUE(write_synthetic_trace(path, model, options, [](double) {}));
  Day day = read_day(path);
  std::filesystem::remove_all(folder);
  return day;
}

ReplayOptions eight_gpus(std::uint64_t work_units = 300'000) {
  ReplayOptions options;
  options.policy.cluster.gpus = 8;
  options.work_units = work_units;
  return options;
}

LaneResult serve(const Day& day, const std::string& policy, const ReplayOptions& options) {
  Lane lane(*make_rebalancing(policy, options), options);
  for (const RoutingProfile& window : day) EXPECT_TRUE(lane.serve(window));
  return std::move(lane).take();
}

std::vector<double> imbalances(const LaneResult& result) {
  std::vector<double> imbalance;
  for (const ServedWindow& window : result.windows) imbalance.push_back(window.imbalance);
  return imbalance;
}

double mean_imbalance(const LaneResult& result, std::size_t first) {
  const std::vector<double> all = imbalances(result);
  return std::accumulate(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(), 0.0) /
         static_cast<double>(all.size() - first);
}

std::size_t most_moves(const LaneResult& result) {
  std::size_t most = 0;
  for (const ReplayEpoch& epoch : result.epochs) most = std::max(most, epoch.moves);
  return most;
}

void print_figures(const LaneResult& result) {
  fmt::print("{}: imbalance {:.4f}, {} migrations of {} slots; {:.3f} s of serving, {:.3f} moving\n", result.policy,
             mean_imbalance(result, kFirstWindow), result.epochs.size(), result.moves, result.serving_seconds,
             result.stall_seconds);
}

/// The least time that EPLB needs, whatever the number of windows it is run after.
double best_eplb_seconds(const Day& day) {
  double best = 0;
  for (const std::size_t every : {1U, 2U, 3U, 4U, 8U}) {
    const LaneResult result = serve(day, fmt::format("every:{}", every), eight_gpus());
    print_figures(result);
    best = best == 0 ? result.seconds() : std::min(best, result.seconds());
  }
  return best;
}

std::size_t slots_of(const Day& day) { return day.front().shape.layers() * day.front().shape.experts; }

TEST(PolicyDay, serves_recorded_traffic_evenly_with_few_moves_and_sooner_than_eplb) {
  const Day day = read_day(std::filesystem::path(EVENKEEL_TEST_DATA) / "evenkeel-moe" / "day.npz");
  const LaneResult result = serve(day, "evenkeel", eight_gpus());
  print_figures(result);
  EXPECT_LE(mean_imbalance(result, kFirstWindow), 1.175);
  EXPECT_LE(mean_imbalance(result, 28), 1.17) << "the traffic changes at once in window 27";
  EXPECT_LE(most_moves(result), slots_of(day) / 4);
  EXPECT_LT(result.seconds(), best_eplb_seconds(day));
}

TEST(PolicyDay, knows_the_window_in_which_recorded_traffic_changes_at_once) {
  const Day day = read_day(std::filesystem::path(EVENKEEL_TEST_DATA) / "evenkeel-moe" / "day.npz");
  const ModelShape& shape = day.front().shape;
  const auto running = contiguous_placement(shape.layer_ids, shape.experts, 0, 8, 1);
  Policy policy(eight_gpus().policy);
  for (std::size_t window = 0; window <= 27; ++window)
    EXPECT_FALSE(policy.close(day[window].windows, *running, "not to be planned for"));
  EXPECT_TRUE(policy.record().is_sudden);
}

TEST(PolicyDay, serves_made_up_traffic_that_drifts_and_changes_sooner_than_eplb) {
  const Day day = made_up_day(200'000, 0.5, 27, 3);
  const LaneResult result = serve(day, "evenkeel", eight_gpus());
  print_figures(result);
  EXPECT_LE(most_moves(result), slots_of(day) / 4);
  EXPECT_LT(result.seconds(), best_eplb_seconds(day));
}

TEST(PolicyDay, leaves_steady_traffic_alone_once_it_is_even) {
  Day day = made_up_day(20'000, 0, std::nullopt, 5);
  std::ranges::fill(day, RoutingProfile(day.front()));
  const LaneResult result = serve(day, "evenkeel", eight_gpus());
  print_figures(result);
  for (const ReplayEpoch& epoch : result.epochs) EXPECT_LT(epoch.window, 12U) << epoch.reason;
}

TEST(PolicyDay, decides_the_same_on_the_same_windows) {
  const Day day = made_up_day(20'000, 1, std::nullopt, 7);
  EXPECT_EQ(imbalances(serve(day, "evenkeel", eight_gpus(100'000))),
            imbalances(serve(day, "evenkeel", eight_gpus(100'000))));
}

}  // namespace
}  // namespace evenkeel::policy_day_test
