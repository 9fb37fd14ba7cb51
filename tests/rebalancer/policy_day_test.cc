// The policy over days of traffic, beside EPLB from scratch every N windows.
#include <fmt/format.h>

#include <cstdlib>

#include "partition/model/model_spec.h"
#include "pipeline/synth/synth_trace.h"
#include "tests/rebalancer/day_run.h"

namespace evenkeel::rebalancer {
namespace {

constexpr std::uint64_t kWorkUnits = 300'000;
constexpr std::size_t kFirstWindow = 5;

PolicyOptions eight_gpus() {
  PolicyOptions options;
  options.cluster.gpus = 8;
  return options;
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

std::string figures(const std::string& name, const DayResult& result) {
  return fmt::format("{}: imbalance {:.4f}, {} migrations of {} slots, at most {}; {:.3f} s of serving, {:.3f} moving",
                     name, result.mean_imbalance(kFirstWindow), result.migrations, result.moves, result.most_moves,
                     result.serving_seconds, result.migration_seconds);
}

/// The least time that EPLB needs, whatever the number of windows it is run after.
double best_eplb_seconds(const Day& day, const PolicyOptions& options) {
  double best = 0;
  for (const std::size_t every : {1U, 2U, 3U, 4U, 8U}) {
    const DayResult result = serve_with_eplb(day, options, every);
    fmt::print("{}\n", figures(fmt::format("EPLB every {} windows", every), result));
    best = best == 0 ? result.seconds() : std::min(best, result.seconds());
  }
  return best;
}

std::size_t slots_of(const Day& day) { return day.shape.layers() * day.shape.experts; }

TEST(PolicyDay, serves_recorded_traffic_evenly_with_few_moves_and_sooner_than_eplb) {
  const Day day = read_day(std::filesystem::path(EVENKEEL_TEST_DATA) / "evenkeel-moe" / "day.npz");
  const PolicyOptions options = eight_gpus();
  const DayResult result = serve_with_policy(day, options, kWorkUnits);
  fmt::print("{}\n", figures("evenkeel", result));
  EXPECT_LE(result.mean_imbalance(kFirstWindow), 1.175);
  EXPECT_LE(result.mean_imbalance(28), 1.17) << "the traffic changes at once in window 27";
  EXPECT_LE(result.most_moves, slots_of(day) / 4);
  EXPECT_LT(result.seconds(), best_eplb_seconds(day, options));
  EXPECT_TRUE(result.decisions[27].is_sudden);
}

TEST(PolicyDay, serves_made_up_traffic_that_drifts_and_changes_sooner_than_eplb) {
  const Day day = made_up_day(200'000, 0.5, 27, 3);
  const DayResult result = serve_with_policy(day, eight_gpus(), kWorkUnits);
  fmt::print("{}\n", figures("evenkeel", result));
  EXPECT_LE(result.most_moves, slots_of(day) / 4);
  EXPECT_LT(result.seconds(), best_eplb_seconds(day, eight_gpus()));
}

TEST(PolicyDay, leaves_steady_traffic_alone_once_it_is_even) {
  Day day = made_up_day(20'000, 0, std::nullopt, 5);
  std::ranges::fill(day.windows, RoutingProfile(day.windows.front()));
  std::ranges::fill(day.tokens, day.tokens.front());
  const DayResult result = serve_with_policy(day, eight_gpus(), kWorkUnits);
  fmt::print("{}\n", figures("evenkeel", result));
  for (std::size_t window = 12; window < day.windows.size(); ++window)
    EXPECT_FALSE(result.decisions[window].is_adopt) << window << ": " << result.decisions[window].reason;
}

TEST(PolicyDay, decides_the_same_on_the_same_windows) {
  const Day day = made_up_day(20'000, 1, std::nullopt, 7);
  const auto first = serve_with_policy(day, eight_gpus(), 100'000);
  const auto second = serve_with_policy(day, eight_gpus(), 100'000);
  EXPECT_EQ(first.imbalance, second.imbalance);
}

}  // namespace
}  // namespace evenkeel::rebalancer
