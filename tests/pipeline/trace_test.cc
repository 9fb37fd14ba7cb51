#include "pipeline/trace/trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "pipeline/trace/split.h"
#include "tests/pipeline/bundled.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::trace_test {
namespace {

using testing::bundled;
using testing::bytes_of;
using testing::npy;
using testing::TemporaryFolder;
using testing::write_npz;

TEST(Trace, reads_the_bundled_day) {
  const auto trace = read_trace(bundled("day.npz"));
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->shape.layers(), 8U);
  EXPECT_EQ(trace->shape.experts, 64U);
  EXPECT_EQ(trace->paths.top_k, 6U);
  EXPECT_EQ(trace->paths.tokens(), 72606U);
  EXPECT_EQ(trace->parts(), 560U);
  EXPECT_EQ(trace->window_of_sequence.back(), 39U);
  const auto profile = profile_of(*trace);
  const auto load = profile.total_load();
  for (std::size_t layer = 0; layer < 8; ++layer) {
    EXPECT_EQ(std::accumulate(load[layer].begin(), load[layer].end(), std::uint64_t{0}), 72606U * 6);
  }
}

TEST(Trace, takes_minus_one_as_no_expert_and_repeated_layer_ids_as_rounds) {
  const TemporaryFolder folder;
  const auto path =
      write_npz(folder, "t.npz",
                {{"ids", npy("<i2", "(2, 3, 2)", bytes_of<std::int16_t>({0, -1, 1, 2, 3, 0, /**/ -1, -1, 2, 1, 0, 3}))},
                 {"seq_start", npy("<i8", "(3,)", bytes_of<std::int64_t>({0, 1, 2}))},
                 {"layer_ids", npy("<i8", "(3,)", bytes_of<std::int64_t>({5, 9, 9}))}});
  const auto trace = read_trace(path);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->shape.layer_ids, (std::vector<int>{5, 9}));
  EXPECT_EQ(trace->paths.layer_of_round, (std::vector<std::uint32_t>{0, 1, 1}));
  const auto load = profile_of(*trace).total_load();
  EXPECT_EQ(std::vector<std::uint64_t>(load[0].begin(), load[0].end()), (std::vector<std::uint64_t>{1, 0, 0, 0}));
  EXPECT_EQ(std::vector<std::uint64_t>(load[1].begin(), load[1].end()), (std::vector<std::uint64_t>{2, 2, 2, 2}));
}

TEST(Trace, drops_the_dense_layers_of_sglang_counts_and_keeps_their_number) {
  const TemporaryFolder folder;
  const auto path = folder.write("c.json", R"({"logical_count": [[[0,0],[1.0,2]],[[0,0],[3,4]]]})");
  const auto trace = read_trace(path);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->shape.layer_ids, std::vector<int>{1});
  EXPECT_EQ(trace->shape.hidden_layers, 2U);
  EXPECT_EQ(trace->load_windows.size(), 2U);
  EXPECT_EQ(trace->load_windows[0].load_tokens.rows(), 1U);
  const auto load = profile_of(*trace).total_load();
  EXPECT_EQ(load(0, 1), 6U);
}

TEST(Trace, keeps_an_moe_layer_of_the_model_without_load_and_names_what_it_takes_as_dense) {
  const TemporaryFolder folder;
  const auto path = folder.write("c.json", R"({"logical_count": [[0,0],[1,2],[0,0]]})");
  const auto guessed = read_trace(path);
  ASSERT_TRUE(guessed) << guessed.error().message;
  EXPECT_EQ(guessed->shape.layer_ids, std::vector<int>{1});
  EXPECT_EQ(guessed->undecided_layers, (std::vector<int>{0, 2}));
  ReadOptions known;
  known.moe_layer_ids = {1, 2};
  const auto trace = read_trace(path, known);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->shape.layer_ids, (std::vector<int>{1, 2}));
  EXPECT_EQ(trace->shape.hidden_layers, 3U);
  EXPECT_TRUE(trace->undecided_layers.empty());
  EXPECT_EQ(unloaded_layers(*trace), std::vector<int>{2});
}

TEST(Trace, refuses_load_on_a_dense_layer_and_a_missing_moe_layer) {
  const TemporaryFolder folder;
  const auto path = folder.write("c.json", R"({"logical_count": [[[0,0],[1,2]],[[1,0],[1,2]]]})");
  ReadOptions known;
  known.moe_layer_ids = {1};
  const auto dense = read_trace(path, known);
  ASSERT_FALSE(dense);
  EXPECT_NE(dense.error().message.find("layer 0 has load"), std::string::npos) << dense.error().message;
  known.moe_layer_ids = {1, 2};
  const auto missing = read_trace(path, known);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("no layer 2"), std::string::npos) << missing.error().message;
}

TEST(Trace, keeps_layers_that_have_load_in_another_stage_or_in_what_is_skipped) {
  const TemporaryFolder folder;
  const auto path = folder.write("c.json", R"({"logical_count": [[[0,0],[1,2],[3,4]],[[0,0],[1,2],[0,0]]]})");
  auto trace = read_trace(path);
  ASSERT_TRUE(trace) << trace.error().message;
  ASSERT_TRUE(select({.skip_windows = 1}, *trace, "c.json"));
  EXPECT_EQ(trace->shape.layer_ids, (std::vector<int>{1, 2}));
  EXPECT_EQ(unloaded_layers(*trace), std::vector<int>{2});
}

TEST(Trace, joins_several_recordings_of_one_model) {
  const auto both = read_traces({bundled("domain-c.npz"), bundled("domain-html.npz")});
  ASSERT_TRUE(both);
  EXPECT_EQ(both->paths.tokens(), 2 * 8192U);
  EXPECT_EQ(both->parts(), 64U);
  const TemporaryFolder folder;
  const auto counts = folder.write("c.json", R"({"logical_count": [[1,2]]})");
  EXPECT_FALSE(read_traces({bundled("domain-c.npz"), counts}));
}

TEST(HoldOut, fits_even_sequences_and_scores_odd_ones) {
  const auto trace = read_trace(bundled("domain-c.npz"));
  const auto split = hold_out(*trace, 0.5, std::nullopt);
  ASSERT_TRUE(split);
  EXPECT_EQ(split->fit.size(), 16U);
  EXPECT_EQ(split->fit[1], 2U);
  EXPECT_EQ(split->score[0], 1U);
  const auto quarter = hold_out(*trace, 0.25, std::nullopt);
  EXPECT_EQ(quarter->score, (std::vector<std::size_t>{3, 7, 11, 15, 19, 23, 27, 31}));
  EXPECT_EQ(hold_out(*trace, 0.0, std::nullopt)->fit.size(), 32U);
  EXPECT_FALSE(hold_out(*trace, 1.0, std::nullopt));
}

TEST(HoldOut, permutes_by_splitmix64_of_the_seed) {
  const auto trace = read_trace(bundled("domain-c.npz"));
  const auto split = hold_out(*trace, 0.5, 1);
  ASSERT_TRUE(split);
  // Computed apart from this code, in Python, from the published generator.
  EXPECT_EQ(split->fit, (std::vector<std::size_t>{0, 1, 5, 6, 8, 9, 14, 17, 18, 19, 20, 21, 23, 26, 27, 31}));
  EXPECT_TRUE(std::ranges::is_sorted(split->score));
}

TEST(HoldOut, cannot_split_one_window_of_loads) {
  const TemporaryFolder folder;
  const auto trace = read_trace(folder.write("c.json", R"({"logical_count": [[1,2]]})"));
  const auto split = hold_out(*trace, 0.5, std::nullopt);
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().code, ErrorCode::kInvalidInput);
}

std::vector<std::size_t> every_part(const Trace& trace) {
  std::vector<std::size_t> parts(trace.parts());
  std::iota(parts.begin(), parts.end(), std::size_t{0});
  return parts;
}

TEST(Trace, of_a_whole_trace_gives_the_profile_of_all_its_parts) {
  auto trace = read_trace(bundled("domain-c.npz"));
  ASSERT_TRUE(trace) << trace.error().message;
  const RoutingProfile parts = profile_of(*trace, every_part(*trace), 3);
  const RoutingProfile loads = loads_of(*trace, 3);
  const ExpertIndex* const experts = trace->paths.experts.data();
  const RoutingProfile whole = profile_of(*std::move(trace), 3);
  ASSERT_EQ(whole.windows.size(), 3U);
  for (std::size_t window = 0; window < 3; ++window) {
    EXPECT_EQ(whole.windows[window].load_tokens, parts.windows[window].load_tokens);
    EXPECT_EQ(loads.windows[window].load_tokens, parts.windows[window].load_tokens);
  }
  EXPECT_EQ(whole.paths.experts, parts.paths.experts);
  EXPECT_EQ(whole.paths.sequence_start, parts.paths.sequence_start);
  EXPECT_EQ(whole.paths.layer_of_round, parts.paths.layer_of_round);
  EXPECT_EQ(whole.paths.experts.data(), experts) << "token paths were copied";
  EXPECT_TRUE(loads.paths.empty());
}

TEST(Trace, keeps_the_token_paths_of_selected_windows_and_layers) {
  const auto whole = read_trace(bundled("day.npz"));
  ASSERT_TRUE(whole) << whole.error().message;
  Trace trace = *whole;
  const std::vector<std::size_t> layers{static_cast<std::size_t>(whole->shape.layer_ids[1]),
                                        static_cast<std::size_t>(whole->shape.layer_ids[6])};
  ASSERT_TRUE(select({.skip_windows = 39, .layers = layers}, trace, "day.npz"));
  const auto first =
      static_cast<std::size_t>(std::ranges::find(whole->window_of_sequence, 39U) - whole->window_of_sequence.begin());
  ASSERT_EQ(trace.paths.sequences(), whole->paths.sequences() - first);
  EXPECT_EQ(trace.paths.layer_of_round, (std::vector<std::uint32_t>{0, 1}));
  const std::size_t token = whole->paths.sequence_start[first];
  ASSERT_EQ(trace.paths.tokens(), whole->paths.tokens() - token);
  for (const std::size_t i : {std::size_t{0}, trace.paths.tokens() - 1}) {
    EXPECT_TRUE(std::ranges::equal(trace.paths.chosen(i, 0), whole->paths.chosen(token + i, 1)));
    EXPECT_TRUE(std::ranges::equal(trace.paths.chosen(i, 1), whole->paths.chosen(token + i, 6)));
  }
}

}  // namespace
}  // namespace evenkeel::trace_test
