#include "pipeline/trace/sglang_counts.h"

#include <gtest/gtest.h>

#include "tests/pipeline/collecting_sink.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::sglang_counts_test {
namespace {

using testing::CollectingSink;
using testing::complaint;
using testing::TemporaryFolder;

using Counts = std::vector<std::uint64_t>;

TEST(SglangCounts, of_two_levels_are_one_window_of_all_hidden_layers) {
  const TemporaryFolder folder;
  CollectingSink sink;
  const auto path = folder.write("c.json", R"({"logical_count": [[0, 0, 0], [1, 2.0, 3e0]]})");
  const auto status = read_sglang_counts(path, {}, sink);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(sink.calls, (std::vector<std::string>{"begin", "loads", "end"}));
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{0, 1}));
  EXPECT_EQ(sink.headers[0].hidden_layers, 2U);
  EXPECT_EQ(sink.headers[0].experts, 3U);
  EXPECT_EQ(sink.headers[0].top_k, 0U);
  EXPECT_TRUE(sink.headers[0].has_loads);
  EXPECT_EQ(sink.load(0, 0), (Counts{0, 0, 0}));
  EXPECT_EQ(sink.load(0, 1), (Counts{1, 2, 3}));
  EXPECT_EQ(sink.windows[0].stage, Stage::kMixed);
}

TEST(SglangCounts, of_three_levels_are_a_window_a_step) {
  const TemporaryFolder folder;
  CollectingSink sink;
  const auto path = folder.write("c.json", R"({"logical_count": [[[1, 2]], [[3, 4]], [[5, 9007199254740992]]]})");
  ASSERT_TRUE(read_sglang_counts(path, {}, sink));
  EXPECT_EQ(sink.calls, (std::vector<std::string>{"begin", "loads", "loads", "loads", "end"}));
  EXPECT_EQ(sink.load(1, 0), (Counts{3, 4}));
  EXPECT_EQ(sink.load(2, 0), (Counts{5, std::uint64_t{1} << 53}));
}

TEST(SglangCounts, leave_other_keys_unread) {
  const TemporaryFolder folder;
  CollectingSink sink;
  const auto path = folder.write(
      "c.json", R"({"rank": 0, "nested": {"logical_count": [[9], {"a": [1]}]}, "list": [[[[1]]], null, true, "x", -1.5],
                    "logical_count": [[1, 2]], "average_utilization_rate_over_window": null, "more": {"logical_count": 1}})");
  const auto status = read_sglang_counts(path, {}, sink);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(sink.load(0, 0), (Counts{1, 2}));
}

TEST(SglangCounts, are_handed_on_before_the_file_ends) {
  const TemporaryFolder folder;
  CollectingSink sink;
  const auto path = folder.write("c.json", R"({"logical_count": [[[1, 2]], [[3, 4]], [[5, x)");
  EXPECT_EQ(complaint(read_sglang_counts(path, {}, sink), "c.json", "not valid JSON at byte"), "");
  EXPECT_EQ(sink.windows.size(), 2U);
}

TEST(SglangCounts, end_where_the_sink_fails) {
  const TemporaryFolder folder;
  CollectingSink sink;
  sink.fail_at_window = 2;
  const auto status =
      read_sglang_counts(folder.write("c.json", R"({"logical_count": [[[1]], [[3]], [[5]]]})"), {}, sink);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "the sink is full");
  EXPECT_EQ(sink.calls.back(), "loads");
}

TEST(SglangCounts, must_be_of_the_experts_that_the_caller_gives) {
  const TemporaryFolder folder;
  CollectingSink sink;
  ReadOptions options;
  options.experts = 3;
  const auto path = folder.write("c.json", R"({"logical_count": [[1, 2]]})");
  EXPECT_EQ(complaint(read_sglang_counts(path, options, sink), "c.json", "counts 2 experts but experts is 3"), "");
}

TEST(SglangCounts, refuse_malformed_files) {
  const TemporaryFolder folder;
  std::string wide = R"({"logical_count": [[1)";
  for (std::size_t i = 0; i < kExpertsMax; ++i) wide += ",1";
  std::string tall = R"({"logical_count": [[1])";
  for (std::size_t i = 0; i < 4096; ++i) tall += ",[1]";
  const std::vector<testing::Malformed> cases{
      {"", "not valid JSON at byte"},
      {"[[1, 2]]", "no key logical_count"},
      {"3", "no key logical_count"},
      {"{}", "no key logical_count"},
      {R"({"logical_count": [[1, 2]]} {})", "another JSON document begins at byte"},
      {R"({"logical_count": [[1, 1e999]]})", "not valid JSON at byte"},
      {R"({"logical_count": [[1, 2]], "logical_count": [[1, 2]]})", "logical_count is given twice"},
      {R"({"logical_count": 5})", "logical_count is 5; give a list of layers"},
      {R"({"logical_count": null})", "logical_count is null"},
      {R"({"logical_count": {}})", "logical_count is an object"},
      {R"({"logical_count": []})", "logical_count is a list of 0"},
      {R"({"logical_count": [[]]})", "logical_count[0] is a list of 0"},
      {R"({"logical_count": [[[]]]})", "logical_count[0][0] is a list of 0"},
      {R"({"logical_count": [[[1]], []]})", "logical_count[1] is a list of 0"},
      {R"({"logical_count": [[1], []]})", "logical_count[1] is a list of 0"},
      {R"({"logical_count": [1, 2]})", "logical_count[0] is 1; give a list of layers"},
      {R"({"logical_count": [[1], 2]})", "logical_count[1] is 2; give a list of layers"},
      {R"({"logical_count": [[1, [2]]]})", "logical_count[0][1] is a list; give a whole number"},
      {R"({"logical_count": [[[1], 2]]})", "logical_count[0][1] is 2; give a list of layers"},
      {R"({"logical_count": [[[[1]]]]})", "logical_count[0][0][0] is a list; give a whole number"},
      {R"({"logical_count": [[1, -2]]})", "logical_count[0][1] is -2; give a whole number of tokens, 0 or above"},
      {R"({"logical_count": [[1, 2.5]]})", "logical_count[0][1] is 2.5"},
      {R"({"logical_count": [[1, 1e20]]})", "logical_count[0][1] is 1e+20"},
      {R"({"logical_count": [[1, 18446744073709551615]]})", "logical_count[0][1] is 18446744073709551615"},
      {R"({"logical_count": [[1, "2"]]})", "logical_count[0][1] is \"2\""},
      {R"({"logical_count": [[[1, true]]]})", "logical_count[0][0][1] is true"},
      {R"({"logical_count": [[1, 2], [3]]})", "logical_count[1] is a list of 1; every layer needs 2 counts"},
      {R"({"logical_count": [[1, 2], [3, 4, 5]]})", "logical_count[1] is a list of 3; every layer needs 2 counts"},
      {R"({"logical_count": [[[1, 2], [3, 4]], [[1, 2]]]})", "logical_count[1] is 1 x 2 but step 0 is 2 x 2"},
      {wide + "]]}", "at most 65535 experts"},
      {tall + "]}", "at most 4096 layers"},
  };
  for (const auto& [content, words] : cases) {
    CollectingSink sink;
    EXPECT_EQ(complaint(read_sglang_counts(folder.write("bad.json", content), {}, sink), "bad.json", words), "")
        << content.substr(0, 80);
  }
}

}  // namespace
}  // namespace evenkeel::sglang_counts_test
