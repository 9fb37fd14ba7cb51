#include "pipeline/trace/trtllm_statistics.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/pipeline/collecting_sink.h"
#include "tests/pipeline/safetensors_text.h"

namespace evenkeel::trtllm_statistics_test {
namespace {

using testing::CollectingSink;
using testing::complaint;
using testing::safetensors;
using testing::TemporaryFolder;

using Counts = std::vector<std::uint64_t>;

const std::string kMeta = R"({"num_experts": 2, "num_experts_per_token": 1})";

TEST(TrtllmStatistics, add_the_ranks_and_are_a_window_an_iteration) {
  const TemporaryFolder folder;
  folder.write("meta_info.json", kMeta);
  folder.write("rank0.safetensors",
               safetensors({{"100_10", {1, 2}}, {"100_3", {3, 4}}, {"9_3", {5, 6}}, {"9_10", {7, 8}}}));
  folder.write("rank1.safetensors", safetensors({{"100_3", {10, 20}}}));
  folder.write("rank10.safetensors", safetensors({{"100_61", {100, 200}}}));
  folder.write("notes.txt", "other files are left alone");
  folder.write("rankX.safetensors", "and so are these");
  EXPECT_TRUE(is_trtllm_statistics(folder.path()));
  CollectingSink sink;
  const auto status = read_trtllm_statistics(folder.path(), {}, sink);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(sink.calls, (std::vector<std::string>{"begin", "loads", "loads", "end"}));
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{3, 10, 61}));
  EXPECT_EQ(sink.headers[0].experts, 2U);
  EXPECT_TRUE(sink.headers[0].has_loads);
  EXPECT_EQ(sink.load(0, 0), (Counts{5, 6})) << "iteration 9 comes before 100";
  EXPECT_EQ(sink.load(0, 1), (Counts{7, 8}));
  EXPECT_EQ(sink.load(0, 2), (Counts{0, 0})) << "no rank has it";
  EXPECT_EQ(sink.load(1, 0), (Counts{13, 24}));
  EXPECT_EQ(sink.load(1, 2), (Counts{100, 200}));
}

TEST(TrtllmStatistics, follow_links_and_refuse_pipes) {
  const TemporaryFolder folder;
  const TemporaryFolder elsewhere;
  folder.write("meta_info.json", kMeta);
  std::filesystem::create_symlink(elsewhere.write("data", safetensors({{"1_0", {1, 2}}})),
                                  folder.path() / "rank0.safetensors");
  CollectingSink sink;
  ASSERT_TRUE(read_trtllm_statistics(folder.path(), {}, sink));
  EXPECT_EQ(sink.load(0, 0), (Counts{1, 2}));
  const auto pipe = folder.path() / "rank1.safetensors";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "rank1.safetensors", "pipe or device"), "");
  std::filesystem::remove(pipe);
  std::filesystem::create_directory(pipe);
  EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "rank1.safetensors", "it is a folder"), "");
}

TEST(TrtllmStatistics, refuse_malformed_ranks) {
  const TemporaryFolder folder;
  folder.write("meta_info.json", kMeta);
  const std::vector<testing::Malformed> cases{
      {"", "it has 0 bytes"},
      {safetensors({{"1", {1, 2}}}), "tensor '1' is not named '{iteration}_{layer}'"},
      {safetensors({{"a_1", {1, 2}}}), "tensor 'a_1' is not named"},
      {safetensors({{"01_1", {1, 2}}}), "tensor '01_1' is not named"},
      {safetensors({{"1_10000", {1, 2}}}), "a layer from 0 to 9999"},
      {safetensors({{"1_-1", {1, 2}}}), "tensor '1_-1' is not named"},
      {safetensors({{"1_0", {1, 2, 3}}}), "tensor '1_0' is I64 of shape (3) but meta_info.json says I64 of (2)"},
      {safetensors(R"({"1_0":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}})", "12345678"), "is I32 of shape (2)"},
      {safetensors(R"({"1_0":{"dtype":"I64","shape":[2,1],"data_offsets":[0,16]}})", "1234567812345678"),
       "shape (2, 1)"},
      {safetensors({{"1_0", {1, 2}}, {"1_0", {1, 2}}}), "tensor '1_0' is given twice"},
      {safetensors({{"1_0", {1, 2}}, {"1_1", {1, 2}}, {"2_0", {1, 2}}}),
       "iteration 2 has other layers than iteration 1"},
      {safetensors({{"1_0", {1, 2}}, {"2_0", {1, 2}}, {"2_1", {1, 2}}}), "has other layers than iteration 1"},
      {safetensors({{"1_0", {1, 2}}, {"2_1", {1, 2}}}), "iteration 2 has other layers"},
      {safetensors({{"1_0", {1, -2}}}), "tensor '1_0' has -2 for expert 1"},
      {safetensors({{"1_0", {std::int64_t{1} << 60, 2}}}), "for expert 0"},
  };
  for (const auto& [content, words] : cases) {
    CollectingSink sink;
    folder.write("rank0.safetensors", content);
    EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "rank0.safetensors", words), "");
  }
  CollectingSink sink;
  folder.write("rank0.safetensors", safetensors({}));
  EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "evenkeel-test", "count 0 layers"), "");
  folder.write("rank0.safetensors", safetensors({{"1_0", {std::int64_t{1} << 53, 2}}}));
  folder.write("rank1.safetensors", safetensors({{"1_0", {1, 2}}}));
  EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "rank1.safetensors", "over all ranks"), "");
}

TEST(TrtllmStatistics, refuse_malformed_folders) {
  const TemporaryFolder folder;
  CollectingSink sink;
  EXPECT_FALSE(is_trtllm_statistics(folder.path()));
  EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "meta_info.json", "cannot be read"), "");
  const std::vector<testing::Malformed> cases{
      {"{", "not valid JSON"},
      {"[]", "no key num_experts"},
      {"{}", "no key num_experts"},
      {R"({"num_experts": 0})", "num_experts is 0"},
      {R"({"num_experts": -2})", "num_experts is -2"},
      {R"({"num_experts": 65536})", "num_experts is 65536"},
      {R"({"num_experts": "2"})", "num_experts is \"2\""},
      {std::string((32 << 20) + 1, ' '), "at most 33554432"},
  };
  for (const auto& [content, words] : cases) {
    folder.write("meta_info.json", content);
    EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "meta_info.json", words), "");
  }
  folder.write("meta_info.json", kMeta);
  EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), {}, sink), "evenkeel-test", "holds 0 files rank0"), "");
  ReadOptions options;
  options.experts = 3;
  EXPECT_EQ(complaint(read_trtllm_statistics(folder.path(), options, sink), "evenkeel-test", "experts is 3"), "");
  EXPECT_TRUE(sink.calls.empty());
}

}  // namespace
}  // namespace evenkeel::trtllm_statistics_test
