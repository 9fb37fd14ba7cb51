#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "partition/foundation/random.h"
#include "pipeline/profile/load_counter.h"
#include "pipeline/profile/path_sample.h"
#include "pipeline/profile/profile_file.h"
#include "pipeline/profile/profiler.h"
#include "tests/pipeline/bundled.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::profile_test {
namespace {

using testing::bundled;
using testing::bytes_of;
using testing::npy;
using testing::TemporaryFolder;
using testing::write_npz;

Result<Trace> profile(const std::vector<std::filesystem::path>& paths, ProfileOptions options = {}) {
  Profiler profiler(std::move(options));
  EVENKEEL_TRY_STATUS(read_recordings(paths, {}, profiler));
  return profiler.finish();
}

std::uint64_t total(const StageLoad& window) {
  const auto cells = window.load_tokens.cells();
  return std::accumulate(cells.begin(), cells.end(), std::uint64_t{0});
}

/// One layer, top-1, experts 0, 1, 2, ... one a token; four sequences of two tokens.
std::filesystem::path eight_tokens(const TemporaryFolder& folder, std::map<std::string, std::string> more = {}) {
  more["ids"] = npy("|u1", "(8, 1, 1)", bytes_of<std::uint8_t>({0, 1, 2, 3, 4, 5, 6, 7}));
  more["seq_start"] = npy("<i8", "(5,)", bytes_of<std::int64_t>({0, 2, 4, 6, 8}));
  return write_npz(folder, "eight.npz", more);
}

TEST(LoadCounter, counts_as_a_plain_loop_does_and_grows) {
  for (const std::size_t top_k : {1U, 3U, 8U}) {
    LoadCounter counter(2, {0, 1, 1}, top_k);
    Grid<std::uint64_t> expected(2, 65535);
    Random random(top_k, 0);
    for (int part = 0; part < 3; ++part) {
      std::vector<ExpertIndex> tokens(3 * top_k * 5000);
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const bool is_none = part == 1 && random.below(10) == 0;
        tokens[i] = is_none ? kNoExpert : static_cast<ExpertIndex>(random.below(part == 2 ? 65535 : 300));
        if (!is_none) ++expected(i / top_k % 3 == 0 ? 0 : 1, tokens[i]);
      }
      counter.count(tokens);
    }
    const auto counted = counter.take();
    ASSERT_LE(65535U, counted.cols());
    for (std::size_t layer = 0; layer < 2; ++layer) {
      EXPECT_TRUE(std::ranges::equal(counted[layer].first(65535), expected[layer])) << top_k;
    }
    EXPECT_FALSE(counter.has_counted());
  }
}

TEST(PathSample, keeps_an_even_share_within_its_limit_whatever_the_pieces) {
  std::vector<ExpertIndex> tokens(100000);
  std::iota(tokens.begin(), tokens.end(), ExpertIndex{0});
  PathSample whole(1, 1000);
  whole.offer(tokens, 1);
  PathSample pieces(1, 1000);
  for (std::size_t i = 0; i < tokens.size(); i += 1000) pieces.offer(std::span(tokens).subspan(i, 1000), 1);
  EXPECT_EQ(whole.experts(), pieces.experts());
  EXPECT_LE(whole.experts().size(), 1000U);
  EXPECT_EQ(whole.one_in(), 128U);
  EXPECT_NEAR(static_cast<double>(whole.experts().size()), 100000.0 / 128, 100);
}

TEST(PathSample, thins_what_stands_for_less_to_what_stands_for_more) {
  const std::vector<ExpertIndex> tokens(4096, 7);
  PathSample sample(1, 10000);
  sample.offer(tokens, 1);
  sample.offer(tokens, 4);
  EXPECT_EQ(sample.one_in(), 4U);
  EXPECT_NEAR(static_cast<double>(sample.experts().size()), 1024 + 4096, 150);
}

TEST(Profiler, keeps_the_windows_of_the_recording_and_exact_loads) {
  const auto day = profile({bundled("day.npz")});
  ASSERT_TRUE(day) << day.error().message;
  EXPECT_EQ(day->load_windows.size(), 40U);
  EXPECT_EQ(day->paths.tokens(), 72606U);
  const auto trace = read_trace(bundled("day.npz"));
  Grid<std::uint64_t> sum(8, 64);
  for (const StageLoad& window : day->load_windows) add(sum, window.load_tokens);
  EXPECT_EQ(sum, profile_of(*trace).total_load());
}

TEST(Profiler, counts_exactly_where_it_keeps_few_paths) {
  const auto few = profile({bundled("day.npz")}, {.sample_tokens_max = 1000});
  const auto all = profile({bundled("day.npz")});
  ASSERT_TRUE(few);
  EXPECT_LE(few->paths.tokens(), 1000U);
  EXPECT_GE(few->paths_one_in, 64U);
  ASSERT_EQ(few->load_windows.size(), all->load_windows.size());
  for (std::size_t i = 0; i < all->load_windows.size(); ++i) {
    EXPECT_EQ(few->load_windows[i].load_tokens, all->load_windows[i].load_tokens);
  }
}

TEST(Profiler, cuts_windows_by_tokens_and_by_sequences_and_leaves_out_the_first) {
  const TemporaryFolder folder;
  const auto path = eight_tokens(folder);
  const auto by_tokens = profile({path}, {.window_unit = WindowUnit::kTokens, .window_size = 3});
  ASSERT_TRUE(by_tokens) << by_tokens.error().message;
  ASSERT_EQ(by_tokens->load_windows.size(), 2U);
  EXPECT_EQ(total(by_tokens->load_windows[0]), 4U);
  EXPECT_EQ(by_tokens->shape.experts, 8U);
  const auto later = profile({path}, {.window_unit = WindowUnit::kSequences, .window_size = 1, .skip_windows = 3});
  ASSERT_TRUE(later) << later.error().message;
  ASSERT_EQ(later->load_windows.size(), 1U);
  EXPECT_EQ(later->paths.experts, (std::vector<ExpertIndex>{6, 7}));
  EXPECT_FALSE(profile({path}, {.skip_windows = 1}));
}

TEST(Profiler, cuts_windows_by_recorded_time) {
  const TemporaryFolder folder;
  const auto timed =
      eight_tokens(folder, {{"seconds", npy("<i8", "(4,)", bytes_of<std::int64_t>({100, 105, 110, 131}))}});
  const auto windows = profile({timed}, {.window_unit = WindowUnit::kSeconds, .window_size = 10});
  ASSERT_TRUE(windows) << windows.error().message;
  ASSERT_EQ(windows->load_windows.size(), 3U);
  EXPECT_EQ(total(windows->load_windows[0]), 4U);
  const auto untimed = profile({eight_tokens(folder)}, {.window_unit = WindowUnit::kSeconds, .window_size = 10});
  ASSERT_FALSE(untimed);
  EXPECT_NE(untimed.error().message.find("does not say when"), std::string::npos);
}

TEST(Profiler, keeps_stages_apart_or_takes_one) {
  const TemporaryFolder folder;
  const std::string stages("prefill\0decode\0\0prefill\0decode\0\0", 32);
  const auto path = eight_tokens(folder, {{"stage", npy("|S8", "(4,)", stages)}});
  const auto both = profile({path});
  ASSERT_TRUE(both) << both.error().message;
  ASSERT_EQ(both->load_windows.size(), 2U);
  EXPECT_EQ(both->load_windows[0].stage, Stage::kDecode);
  const auto prefill = profile({path}, {.stage = Stage::kPrefill});
  ASSERT_TRUE(prefill);
  ASSERT_EQ(prefill->load_windows.size(), 1U);
  EXPECT_EQ(prefill->paths.experts, (std::vector<ExpertIndex>{0, 1, 4, 5}));
}

TEST(ProfileFile, reads_back_as_it_was_written_and_merges) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "p.npz";
  const auto day = profile({bundled("day.npz")}, {.window_unit = WindowUnit::kSequences, .window_size = 100});
  ASSERT_TRUE(write_profile(path, *day));
  const auto again = read_trace(path);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->shape.layer_ids, day->shape.layer_ids);
  EXPECT_EQ(again->paths.experts, day->paths.experts);
  EXPECT_EQ(again->window_of_sequence, day->window_of_sequence);
  ASSERT_EQ(again->load_windows.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(again->load_windows[i].load_tokens, day->load_windows[i].load_tokens);

  const auto second_half = profile_of(*again, {3, 4, 5});
  EXPECT_EQ(second_half.windows.size(), 3U);
  EXPECT_EQ(second_half.paths.sequences(), 260U);

  const auto merged = profile({path, path});
  ASSERT_TRUE(merged) << merged.error().message;
  EXPECT_EQ(merged->load_windows.size(), 12U);
  EXPECT_EQ(merged->paths.tokens(), 2 * day->paths.tokens());
}

TEST(ProfileFile, keeps_loads_without_paths_and_choices_that_are_none) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "p.npz";
  const auto counts = profile({folder.write("c.json", R"({"logical_count": [[[0,0],[1,2]],[[0,0],[3,4]]]})")});
  ASSERT_TRUE(counts) << counts.error().message;
  ASSERT_TRUE(write_profile(path, *counts));
  const auto again = read_trace(path);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->shape.layer_ids, std::vector<int>{1});
  EXPECT_EQ(again->shape.hidden_layers, 2U);
  EXPECT_TRUE(again->paths.empty());

  const auto some =
      write_npz(folder, "n.npz", {{"ids", npy("|i1", "(2, 1, 2)", bytes_of<std::int8_t>({0, -1, 1, 0}))}});
  ASSERT_TRUE(write_profile(path, *profile({some})));
  EXPECT_EQ(read_trace(path)->paths.experts, (std::vector<ExpertIndex>{0, kNoExpert, 1, 0}));
}

}  // namespace
}  // namespace evenkeel::profile_test
