#include "pipeline/trace/vllm_statistics.h"

#include <gtest/gtest.h>

#include "tests/pipeline/collecting_sink.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::vllm_statistics_test {
namespace {

using testing::CollectingSink;
using testing::complaint;
using testing::TemporaryFolder;

using Counts = std::vector<std::uint64_t>;

std::string record(const std::string& expert_load, const std::string& p2l_map) {
  return R"({"record_type":"eplb_load_stats","version":1,"step":7,"num_ranks":2,"expert_load":)" + expert_load +
         R"(,"p2l_map":)" + p2l_map + "}\n";
}

TEST(VllmStatistics, add_the_slots_of_an_expert_and_are_a_window_a_line) {
  const TemporaryFolder folder;
  CollectingSink sink;
  const auto path = folder.write("s.jsonl", record("[[10,1,5,2],[2,8,1,3]]", "[[0,1,2,0],[0,1,2,2]]") + "\n  \r\n" +
                                                record("[[1,2,3,4],[5,6,7,8]]", "[[2,1,0,1],[0,0,1,2]]"));
  const auto status = read_vllm_statistics(path, {}, sink);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(sink.calls, (std::vector<std::string>{"begin", "loads", "loads", "end"}));
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{0, 1}));
  EXPECT_EQ(sink.headers[0].experts, 3U);
  EXPECT_TRUE(sink.headers[0].has_loads);
  EXPECT_EQ(sink.headers[0].hidden_layers, std::nullopt) << "rows are MoE layers alone";
  EXPECT_EQ(sink.load(0, 0), (Counts{12, 1, 5}));
  EXPECT_EQ(sink.load(0, 1), (Counts{2, 8, 4}));
  EXPECT_EQ(sink.load(1, 0), (Counts{3, 6, 1})) << "the map moved between the records";
  EXPECT_EQ(sink.load(1, 1), (Counts{11, 7, 8}));
}

TEST(VllmStatistics, have_the_numbers_of_the_models_layers_where_it_is_known) {
  const TemporaryFolder folder;
  CollectingSink sink;
  ReadOptions options;
  options.moe_layer_ids = {3, 4};
  options.hidden_layers = 5;
  ASSERT_TRUE(read_vllm_statistics(folder.write("s.jsonl", record("[[1,2],[3,4]]", "[[0,1],[1,0]]")), options, sink));
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{3, 4}));
  EXPECT_EQ(sink.load(0, 1), (Counts{4, 3}));
}

TEST(VllmStatistics, take_unused_slots_and_a_last_line_without_its_end) {
  const TemporaryFolder folder;
  CollectingSink sink;
  std::string text = record("[[1,2,0]]", "[[0,1,-1]]");
  text.pop_back();
  const auto status = read_vllm_statistics(folder.write("s.jsonl", text), {}, sink);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(sink.load(0, 0), (Counts{1, 2}));
}

TEST(VllmStatistics, are_known_by_their_first_line) {
  EXPECT_TRUE(is_vllm_statistics("\n" + record("[[1]]", "[[0]]")));
  EXPECT_FALSE(is_vllm_statistics(R"({"logical_count": [[1]]})"));
  EXPECT_FALSE(is_vllm_statistics("{}\n{\"record_type\": 1}"));
  EXPECT_FALSE(is_vllm_statistics(""));
}

TEST(VllmStatistics, refuse_malformed_files) {
  const TemporaryFolder folder;
  const std::string good = record("[[1,2]]", "[[0,1]]");
  const std::vector<testing::Malformed> cases{
      {"", "holds no record"},
      {"\n\n  \n", "holds no record"},
      {"{\"record_type\": \"eplb_load_stats\"", "line 1: it is not valid JSON"},
      {good + "[1]\n", "line 2 is a list of 1; give an object"},
      {good + "{}\n", "line 2: key record_type is missing"},
      {R"({"record_type": 3})", "record_type is 3"},
      {R"({"record_type": "eplb_initial_mapping", "version": 1})", "record_type is \"eplb_initial_mapping\""},
      {R"({"record_type": "eplb_load_stats", "record_type": "eplb_load_stats"})", "record_type is given twice"},
      {R"({"record_type": "eplb_load_stats", "version": 2})", "version is 2"},
      {R"({"record_type": "eplb_load_stats", "p2l_map": [[0]]})", "key expert_load is missing"},
      {R"({"record_type": "eplb_load_stats", "expert_load": [[0]]})", "key p2l_map is missing"},
      {record("[[1,2]]", "3"), "p2l_map is 3"},
      {record("[[1,2]]", "[]"), "p2l_map is a list of 0"},
      {record("[[1,2]]", "[[]]"), "p2l_map[0] is a list of 0"},
      {record("[[1,2]]", "[[0,2]]"), "p2l_map[0][1] is 2; give an expert from 0 to 1"},
      {record("[[1,2]]", "[[0,-2]]"), "p2l_map[0][1] is -2"},
      {record("[[1,2]]", "[[0,1.5]]"), "p2l_map[0][1] is 1.5"},
      {record("[[0,0]]", "[[-1,-1]]"), "counts 0 experts"},
      {record("[[1,2],[3,4]]", "[[0,1]]"), "expert_load has 2 layers but p2l_map has 1"},
      {record("[[1,2,3]]", "[[0,1]]"), "expert_load[0] has 3 slots but its row of p2l_map has 2"},
      {record("[[1,-2]]", "[[0,1]]"), "expert_load[0][1] is -2"},
      {record("[[1,2.5]]", "[[0,1]]"), "expert_load[0][1] is 2.5"},
      {record("[[1,null]]", "[[0,1]]"), "expert_load[0][1] is null"},
      {record("[[1,2]]", "[[0,-1]]"), "0 for a slot without an expert"},
      {record("[[9007199254740992,1]]", "[[0,0]]"), "expert 0 has above 9007199254740992 tokens"},
      {good + record("[[1,2,3]]", "[[0,1,2]]"), "line 2 has 1 layers of 3 experts but the first record 1 of 2"},
      {good + std::string((std::size_t{16} << 20) + 1, ' ') + "\n" + good, "line 2: it has above 16777216 bytes"},
  };
  for (const auto& [content, words] : cases) {
    CollectingSink sink;
    EXPECT_EQ(complaint(read_vllm_statistics(folder.write("bad.jsonl", content), {}, sink), "bad.jsonl", words), "")
        << content.substr(0, 200);
  }
}

}  // namespace
}  // namespace evenkeel::vllm_statistics_test
