#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>

#include "pipeline/config/model_file.h"
#include "pipeline/synth/expert_choice.h"
#include "pipeline/synth/router.h"
#include "pipeline/synth/router_calibration.h"
#include "pipeline/synth/synth_trace.h"
#include "pipeline/synth/token_blocks.h"
#include "pipeline/synth/traffic.h"
#include "pipeline/trace/trace.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::synth_test {
namespace {

using testing::TemporaryFolder;

ModelSpec shape_of(std::size_t layers, std::size_t experts, std::size_t top_k) {
  ModelSpec model;
  model.name = "test";
  model.hidden_layers = layers;
  model.moe_layer_ids.resize(layers);
  std::iota(model.moe_layer_ids.begin(), model.moe_layer_ids.end(), 0);
  model.experts = experts;
  model.top_k = top_k;
  return model;
}

/// The ids of a trace of a few layers, without a file.
TokenPaths routed(const ModelSpec& model, const SynthOptions& options) {
  const auto sequences = plan_traffic(options);
  std::vector<double> mix(kCategories);
  for (std::size_t i = 0; i < kCategories; ++i) {
    for (std::size_t window = 0; window < options.windows; ++window)
      mix[i] += domain_mix(options, window)[i / kStages] / static_cast<double>(kStages * options.windows);
  }
  const Router router(model, mix, options.seed, options.threads);
  TokenBlocks blocks(router, sequences, options);
  TokenPaths paths;
  paths.top_k = model.top_k;
  paths.layer_of_round.resize(model.rounds());
  std::iota(paths.layer_of_round.begin(), paths.layer_of_round.end(), 0U);
  for (const auto& sequence : sequences) paths.sequence_start.push_back(sequence.first_token);
  paths.sequence_start.push_back(options.tokens);
  const bool is_byte = id_dtype(model) == "|u1";
  std::size_t left = options.tokens * model.rounds() * model.top_k * (is_byte ? 1 : 2);
  // A size that divides nothing, as an archive may ask for.
  std::vector<std::byte> piece(10007 * 2);
  while (left > 0) {
    piece.resize(std::min(piece.size(), left));
    left -= piece.size();
    blocks.read(piece);
    for (std::size_t i = 0; i < piece.size(); i += is_byte ? 1 : 2) {
      const auto low = static_cast<unsigned>(piece[i]);
      paths.experts.push_back(static_cast<ExpertIndex>(is_byte ? low : low | static_cast<unsigned>(piece[i + 1]) << 8));
    }
  }
  return paths;
}

/// Shares of a layer's choices that fall on each expert, in the given sequences.
std::vector<double> load_shares(const TokenPaths& paths, std::size_t layer, std::size_t experts, std::uint64_t first,
                                std::uint64_t last) {
  std::vector<double> load(experts);
  for (std::uint64_t token = first; token < last; ++token) {
    for (const ExpertIndex expert : paths.chosen(token, layer)) ++load[expert];
  }
  for (double& share : load) share /= static_cast<double>((last - first) * paths.top_k);
  return load;
}

double total_variation(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / 2;
}

struct Skew {
  std::size_t experts, top_k, routing_groups, groups_chosen;
  double hottest_over_mean;
  /// Likeliest successor over the uniform share.
  double least_successor, most_successor;
};

class SyntheticRouting : public ::testing::TestWithParam<Skew> {};

TEST_P(SyntheticRouting, is_as_skewed_and_as_correlated_as_recorded_routing) {
  const Skew& skew = GetParam();
  ModelSpec model = shape_of(4, skew.experts, skew.top_k);
  model.routing_groups = skew.routing_groups;
  model.groups_chosen = skew.groups_chosen;
  SynthOptions options;
  options.tokens = 40000;
  const TokenPaths paths = routed(model, options);
  RoutingProfile profile;
  profile.shape.layer_ids = model.moe_layer_ids;
  profile.shape.experts = model.experts;
  profile.paths = paths;
  const auto mean = 1.0 / static_cast<double>(model.experts);
  double hottest = 0;
  for (std::size_t layer = 0; layer < 4; ++layer) {
    hottest += std::ranges::max(load_shares(paths, layer, model.experts, 0, paths.tokens())) / mean / 4;
  }
  EXPECT_NEAR(hottest, skew.hottest_over_mean, 0.12 * skew.hottest_over_mean);
  double successor = 0;
  const auto tables = transitions(profile);
  for (const TransitionTable& table : tables) {
    double kept = 0;
    for (std::size_t expert = 0; expert < model.experts; ++expert) kept += std::ranges::max(table.tokens[expert]);
    successor += kept / table.total_tokens / mean / static_cast<double>(tables.size());
  }
  EXPECT_GE(successor, skew.least_successor);
  EXPECT_LE(successor, skew.most_successor);
}

// At 8 experts and top-2 a likeliest successor that half of the tokens choose is twice the uniform share.
INSTANTIATE_TEST_SUITE_P(Sizes, SyntheticRouting,
                         ::testing::Values(Skew{8, 2, 1, 1, 1.5, 1.8, 2.3}, Skew{64, 6, 1, 1, 3.4, 4.2, 10},
                                           Skew{256, 8, 1, 1, 7.0, 5, 11}, Skew{256, 8, 8, 4, 7.0, 5, 11}));

TEST(SyntheticRouting, follows_the_zipf_law) {
  const ModelSpec model = shape_of(3, 64, 6);
  SynthOptions options;
  options.tokens = 60000;
  const TokenPaths paths = routed(model, options);
  const auto targets = target_shares(model, router_parameters(64).zipf_exponent);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    auto load = load_shares(paths, layer, 64, 0, paths.tokens());
    std::ranges::sort(load, std::greater());
    double distance = 0;
    for (std::size_t rank = 0; rank < 64; ++rank) distance += std::abs(load[rank] - targets[rank] / 6) / 2;
    EXPECT_LT(distance, 0.05) << layer;
  }
}

TEST(SyntheticRouting, targets_fill_the_top_k) {
  for (const auto& [experts, top_k, nulls] : {std::tuple{8, 2, 0}, {8, 7, 0}, {8, 8, 0}, {1, 1, 0}, {64, 6, 32}}) {
    ModelSpec model = shape_of(1, static_cast<std::size_t>(experts), static_cast<std::size_t>(top_k));
    model.null_experts = static_cast<std::size_t>(nulls);
    const auto targets = target_shares(model, 0.4);
    EXPECT_NEAR(std::accumulate(targets.begin(), targets.end(), 0.0), top_k, 1e-6);
    EXPECT_LE(std::ranges::max(targets), 1.0);
  }
}

TEST(SyntheticRouting, stays_within_the_groups_that_the_router_chose) {
  ModelSpec model = shape_of(2, 64, 6);
  model.routing_groups = 8;
  model.groups_chosen = 2;
  SynthOptions options;
  options.tokens = 3000;
  const TokenPaths paths = routed(model, options);
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    for (std::size_t layer = 0; layer < 2; ++layer) {
      std::vector<int> groups;
      for (const ExpertIndex expert : paths.chosen(token, layer)) groups.push_back(expert / 8);
      std::ranges::sort(groups);
      groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
      ASSERT_LE(groups.size(), 2U);
    }
  }
}

TEST(SyntheticRouting, chooses_groups_by_their_two_best_scores) {
  ModelSpec model = shape_of(1, 6, 2);
  model.routing_groups = 3;
  model.groups_chosen = 1;
  ExpertChoice choice(model);
  std::vector<ExpertIndex> chosen(2);
  choice.choose(std::vector<float>{9, -9, 3, 4, 5, 1}, chosen);
  EXPECT_EQ(chosen, (std::vector<ExpertIndex>{3, 2}));
}

TEST(SyntheticRouting, has_no_expert_twice_and_marks_null_experts) {
  ModelSpec model = shape_of(2, 12, 4);
  model.null_experts = 4;
  SynthOptions options;
  options.tokens = 4000;
  const TokenPaths paths = routed(model, options);
  std::size_t nulls = 0;
  for (std::size_t i = 0; i < paths.tokens() * 2; ++i) {
    std::vector<ExpertIndex> chosen(paths.chosen(i / 2, i % 2).begin(), paths.chosen(i / 2, i % 2).end());
    nulls += static_cast<std::size_t>(std::ranges::count(chosen, kNoExpert));
    std::erase(chosen, kNoExpert);
    std::ranges::sort(chosen);
    ASSERT_EQ(std::ranges::adjacent_find(chosen), chosen.end());
    ASSERT_TRUE(chosen.empty() || chosen.back() < 12);
  }
  // Four of sixteen experts, with the mean load each.
  EXPECT_NEAR(static_cast<double>(nulls) / static_cast<double>(paths.experts.size()), 0.25, 0.03);
}

TEST(SyntheticRouting, is_equal_on_one_and_two_threads) {
  ModelSpec model = shape_of(3, 32, 4);
  SynthOptions options;
  options.tokens = 5001;
  options.threads = 1;
  const auto one = routed(model, options).experts;
  options.threads = 2;
  EXPECT_EQ(routed(model, options).experts, one);
  options.seed = 2;
  EXPECT_NE(routed(model, options).experts, one);
}

class SyntheticDrift : public ::testing::Test {
 protected:
  /// Largest distance of a window's loads from those of the window before, and of the last from the first.
  void measure(double drift, std::optional<std::size_t> shift_at) {
    const ModelSpec model = shape_of(2, 64, 6);
    SynthOptions options;
    options.tokens = 160000;
    options.windows = 4;
    options.drift = drift;
    options.shift_at = shift_at;
    const TokenPaths paths = routed(model, options);
    std::vector<std::vector<double>> loads;
    for (std::size_t window = 0; window < 4; ++window)
      loads.push_back(load_shares(paths, 1, 64, window * 40000, (window + 1) * 40000));
    for (std::size_t window = 1; window < 4; ++window)
      steps_.push_back(total_variation(loads[window - 1], loads[window]));
    whole_ = total_variation(loads.front(), loads.back());
  }

  std::vector<double> steps_;
  double whole_ = 0;
};

TEST_F(SyntheticDrift, is_small_where_none_is_asked_for) {
  measure(0, std::nullopt);
  EXPECT_LT(whole_, 0.1);
}

TEST_F(SyntheticDrift, grows_from_window_to_window) {
  measure(1, std::nullopt);
  EXPECT_GT(whole_, 0.15);
  EXPECT_LT(std::ranges::max(steps_), whole_);
}

TEST_F(SyntheticDrift, comes_at_once_with_a_shift) {
  measure(0, 2);
  EXPECT_GT(steps_[1], 2 * steps_[0]);
  EXPECT_GT(steps_[1], 2 * steps_[2]);
}

TEST(SyntheticTraffic, mixes_add_up_and_move) {
  SynthOptions options;
  options.windows = 10;
  options.drift = 1;
  options.shift_at = 5;
  for (std::size_t window = 0; window < 10; ++window) {
    const auto mix = domain_mix(options, window);
    EXPECT_NEAR(std::accumulate(mix.begin(), mix.end(), 0.0), 1.0, 1e-12);
  }
  EXPECT_GT(total_variation(domain_mix(options, 0), domain_mix(options, 4)), 0.2);
  EXPECT_GT(total_variation(domain_mix(options, 4), domain_mix(options, 5)), 0.3);
}

TEST(SyntheticTraffic, fills_windows_with_sequences_of_usual_length) {
  SynthOptions options;
  options.tokens = 1000003;
  options.windows = 7;
  const auto sequences = plan_traffic(options);
  std::vector<std::uint64_t> tokens(7);
  std::size_t usual = 0;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const std::uint64_t end = i + 1 < sequences.size() ? sequences[i + 1].first_token : options.tokens;
    ASSERT_LT(sequences[i].first_token, end);
    tokens[sequences[i].window] += end - sequences[i].first_token;
    if (end - sequences[i].first_token >= 256 && end - sequences[i].first_token <= 1024) ++usual;
  }
  EXPECT_LE(std::ranges::max(tokens) - std::ranges::min(tokens), 1U);
  EXPECT_GT(static_cast<double>(usual), 0.75 * static_cast<double>(sequences.size()));
}

TEST(SyntheticTrace, is_read_back_with_its_labels) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "t.npz";
  ModelSpec model = shape_of(4, 16, 2);
  model.moe_layer_ids = {1, 3, 5, 7};
  SynthOptions options;
  options.tokens = 6000;
  options.windows = 3;
  double shown = 0;
  const auto summary = write_synthetic_trace(path, model, options, [&](double share) { shown = share; });
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(shown, 1.0);
  const auto trace = read_trace(path);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->shape.layer_ids, model.moe_layer_ids);
  EXPECT_EQ(trace->shape.experts, 16U);
  EXPECT_EQ(trace->paths.tokens(), 6000U);
  EXPECT_EQ(trace->paths.sequences(), summary->sequences);
  EXPECT_EQ(trace->window_of_sequence.front(), 0U);
  EXPECT_EQ(trace->window_of_sequence.back(), 2U);
  EXPECT_TRUE(std::ranges::count(trace->stage_of_sequence, Stage::kPrefill) > 0 &&
              std::ranges::count(trace->stage_of_sequence, Stage::kDecode) > 0);
}

TEST(SyntheticTrace, refuses_what_cannot_be_made_up) {
  const TemporaryFolder folder;
  const auto refusal = [&](const ModelSpec& model, const SynthOptions& options) {
    const auto summary = write_synthetic_trace(folder.path() / "t.npz", model, options, [](double) {});
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "t.npz"));
    return summary ? std::string("accepted") : summary.error().message;
  };
  const ModelSpec model = shape_of(2, 8, 2);
  SynthOptions options;
  options.tokens = 0;
  EXPECT_NE(refusal(model, options).find("tokens is 0"), std::string::npos);
  options = {};
  options.drift = 1.5;
  EXPECT_NE(refusal(model, options).find("drift is 1.5"), std::string::npos);
  options.drift = 0.5;
  EXPECT_NE(refusal(model, options).find("give 2 windows or more"), std::string::npos);
  options = {};
  options.windows = 4;
  options.shift_at = 4;
  EXPECT_NE(refusal(model, options).find("shift_at is 4; give a window from 1 to 3"), std::string::npos);
  EXPECT_NE(refusal(shape_of(1, 5000, 2), {}).find("5000 experts; at most 4096"), std::string::npos);
}

}  // namespace
}  // namespace evenkeel::synth_test
