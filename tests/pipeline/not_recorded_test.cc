#include "pipeline/trace/not_recorded.h"

#include <gtest/gtest.h>

#include <cmath>

#include "pipeline/trace/half_float.h"
#include "pipeline/trace/top_k_bound.h"

namespace evenkeel::not_recorded_test {
namespace {

RecordingHeader header_of(std::vector<int> layer_ids, std::size_t top_k) {
  RecordingHeader header;
  header.layer_of_round = {0, 1};
  header.layer_ids = std::move(layer_ids);
  header.top_k = top_k;
  return header;
}

/// Reads tokens of top-2 in two layers, or as the header says.
struct Reading {
  std::vector<std::string> notes;
  ReadOptions options;
  RecordingHeader header = header_of({4, 7}, 2);
  std::vector<ExpertIndex> kept;

  Status read(const std::vector<std::vector<ExpertIndex>>& pieces) {
    options.note = [this](const std::string& text) { notes.push_back(text); };
    NotRecorded not_recorded(options);
    not_recorded.begin("a.npz", header);
    for (const auto& piece : pieces) {
      const auto recorded = not_recorded.recorded(piece);
      kept.insert(kept.end(), recorded.begin(), recorded.end());
    }
    return not_recorded.finish();
  }
};

constexpr ExpertIndex kNone = kNoExpert;

TEST(NotRecorded, leaves_what_was_recorded_as_it_is) {
  Reading reading;
  const std::vector<ExpertIndex> tokens{0, 1, 2, 3, /**/ kNone, kNone, 3, kNone, /**/ kNone, kNone, kNone, kNone};
  ASSERT_TRUE(reading.read({tokens}));
  EXPECT_EQ(reading.kept, tokens);
  EXPECT_TRUE(reading.notes.empty());
}

TEST(NotRecorded, leaves_out_tokens_of_nothing_else_and_makes_single_rows_none) {
  Reading reading;
  ASSERT_TRUE(reading.read({{0, 0, 0, 0, /**/ 5, 5, 2, 3}, {1, 2, 3, 4, /**/ 6, 6, kNone, kNone}}));
  EXPECT_EQ(reading.kept, (std::vector<ExpertIndex>{kNone, kNone, 2, 3, 1, 2, 3, 4}));
  ASSERT_EQ(reading.notes.size(), 2U);
  EXPECT_NE(reading.notes[0].find("2 of 4 tokens were not recorded"), std::string::npos) << reading.notes[0];
  EXPECT_NE(reading.notes[1].find("1 choices of a token in a layer"), std::string::npos) << reading.notes[1];
}

TEST(NotRecorded, names_layers_that_were_never_recorded) {
  Reading reading;
  ASSERT_TRUE(reading.read({{0, 0, 1, 2}, {kNone, kNone, 2, 3}}));
  ASSERT_EQ(reading.notes.size(), 1U);
  EXPECT_NE(reading.notes[0].find("a.npz: row 0 (layer 4) was never recorded"), std::string::npos) << reading.notes[0];
}

TEST(NotRecorded, refuses_a_recording_of_nothing) {
  const auto status = Reading().read({{0, 0, 0, 0}, {3, 3, 3, 3}});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("nothing was recorded"), std::string::npos);
}

TEST(NotRecorded, cannot_tell_a_top_1_layer_of_one_expert_without_the_model) {
  Reading reading;
  reading.header.top_k = 1;
  const auto status = reading.read({{3, 1, /**/ 3, 2}});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("row 0 names expert 3 for all 2 tokens"), std::string::npos);
  EXPECT_EQ(status.error().fields, (std::vector<std::string>{"model", "layer_ids"}));
  reading.options.moe_layer_ids = {0, 1};
  EXPECT_TRUE(reading.read({{3, 1, /**/ 3, 2}}));
  reading.options.moe_layer_ids.clear();
  reading.options.model = "m";
  EXPECT_TRUE(reading.read({{3, 1, /**/ 3, 2}}));
  EXPECT_FALSE(reading.read({{0, 0, /**/ 0, 0}}));
}

TEST(NotRecorded, counts_top_1_layers_of_several_files_together) {
  ReadOptions options;
  NotRecorded not_recorded(options);
  const RecordingHeader header = header_of({0, 1}, 1);
  not_recorded.begin("a.npy", header);
  static_cast<void>(not_recorded.recorded(std::vector<ExpertIndex>{2, 0, 2, 1}));
  not_recorded.begin("b.npy", header);
  static_cast<void>(not_recorded.recorded(std::vector<ExpertIndex>{1, 0}));
  EXPECT_TRUE(not_recorded.finish());
}

TEST(HalfFloat, has_the_values_of_its_bits) {
  EXPECT_EQ(from_bfloat16(0x3F80), 1.0F);
  EXPECT_EQ(from_bfloat16(0x4380), 256.0F);
  EXPECT_EQ(from_float16(0x3C00), 1.0F);
  EXPECT_EQ(from_float16(0xC500), -5.0F);
  EXPECT_EQ(from_float16(0x6800), 2048.0F);
  EXPECT_EQ(from_float16(0x0001), std::ldexp(1.0F, -24)) << "the smallest above zero";
  EXPECT_EQ(from_float16(0x7C00), INFINITY);
  EXPECT_TRUE(std::isnan(from_float16(0x7E00)));
}

TEST(LargestShare, bounds_the_experts_that_a_token_chooses) {
  StageLoad window{.load_tokens = Grid<std::uint64_t>(2, 4)};
  EXPECT_FALSE(largest_share({window}, {3, 5}));
  std::ranges::copy(std::vector<std::uint64_t>{4, 4, 4, 4}, window.load_tokens[0].begin());
  std::ranges::copy(std::vector<std::uint64_t>{6, 0, 0, 9}, window.load_tokens[1].begin());
  const auto share = largest_share({window}, {3, 5});
  ASSERT_TRUE(share);
  EXPECT_EQ(share->top_k_max(), 1U);
  EXPECT_NE(share->text().find("expert 3 of layer 5 has 9 of its layer's 15 choices"), std::string::npos);
}

}  // namespace
}  // namespace evenkeel::not_recorded_test
