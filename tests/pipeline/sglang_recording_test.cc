#include "pipeline/trace/sglang_recording.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "pipeline/trace/torch_archive.h"
#include "tests/pipeline/collecting_sink.h"
#include "tests/pipeline/pickle_builder.h"

namespace evenkeel::sglang_recording_test {
namespace {

using testing::bytes_of;
using testing::CollectingSink;
using testing::pickle_of;
using testing::pickled;
using testing::pickled_dict;
using testing::pickled_list;
using testing::pickled_numbers;
using testing::pickled_storage;
using testing::pickled_tensor;
using testing::TemporaryFolder;
using testing::write_torch;

using Ints = std::vector<std::int32_t>;
using Longs = std::vector<std::int64_t>;
using Items = std::vector<std::pair<std::string, std::string>>;
using Row = std::vector<std::uint64_t>;

std::string int_tensor(const std::string& key, const Ints& size, const Ints& stride, std::int32_t offset = 0,
                       const std::string& type = "IntStorage") {
  return pickled_tensor(pickled_storage(type, key), offset, size, stride);
}

std::string stat_pickle(const std::string& tensor) {
  return pickle_of(
      pickled_dict({{"rank", pickled(0)}, {"logical_count", tensor}, {"average_utilization_rate_over_window", "N"}}));
}

/// A record of pass and rank with further fields.
std::string record(std::int32_t pass, std::int32_t rank, Items more) {
  Items items{{"forward_pass_id", pickled(pass)}, {"rank", pickled(rank)}, {"gatherer_key", pickled("primary")}};
  items.insert(items.end(), more.begin(), more.end());
  return pickled_dict(items);
}

/// A dump of records over a map of two layers and three slots that is in storage "map".
std::string detail_pickle(const std::vector<std::string>& records) {
  return pickle_of(
      pickled_dict({{"records", pickled_list(records)},
                    {"last_physical_to_logical_map", int_tensor("map", {2, 3}, {3, 1}, 0, "LongStorage")}}));
}

const std::string kMap = bytes_of(Longs{1, 0, 1, 0, 1, 1});

std::string counts_record(std::int32_t pass, std::int32_t rank, const std::string& key) {
  return record(pass, rank, {{"global_physical_count", int_tensor(key, {2, 3}, {3, 1})}});
}

/// ids [2 layers, 2 tokens, 3 columns] of a pass in a mode.
std::string ids_record(std::int32_t pass, std::int32_t mode, const std::string& lengths, const std::string& key = "i") {
  return record(pass, 0,
                {{"forward_mode", pickled(mode)},
                 {"extend_seq_lens", lengths},
                 {"topk_ids_of_layer", int_tensor(key, {2, 2, 3}, {6, 3, 1})}});
}

Status read(const std::vector<std::filesystem::path>& files, CollectingSink& sink, const ReadOptions& options = {}) {
  return read_sglang_recording(files, options, sink);
}

TEST(SglangStat, hands_on_each_step_that_counted) {
  const TemporaryFolder folder;
  const auto path = write_torch(folder, "a.pt", stat_pickle(int_tensor("0", {3, 2, 2}, {4, 2, 1})),
                                {{"0", bytes_of(Ints{1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 5, 6})}});
  CollectingSink sink;
  ASSERT_TRUE(read({path}, sink));
  ASSERT_EQ(sink.headers.size(), 1U);
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{0, 1}));
  EXPECT_EQ(sink.headers[0].hidden_layers, 2U);
  EXPECT_EQ(sink.headers[0].experts, 2U);
  EXPECT_EQ(sink.headers[0].top_k, 0U);
  EXPECT_TRUE(sink.headers[0].has_loads);
  ASSERT_EQ(sink.windows.size(), 2U);
  EXPECT_TRUE(std::ranges::equal(sink.windows[0].load_tokens.cells(), Row{1, 2, 0, 0}));
  EXPECT_TRUE(std::ranges::equal(sink.windows[1].load_tokens.cells(), Row{3, 4, 5, 6}));
  EXPECT_EQ(std::ranges::count(sink.calls, "end"), 1);
}

TEST(SglangStat, honours_offset_and_stride_of_views) {
  const TemporaryFolder folder;
  // [1, 2, 2] at offset 1, columns first.
  const auto path = write_torch(folder, "a.pt", stat_pickle(int_tensor("0", {1, 2, 2}, {9, 1, 2}, 1)),
                                {{"0", bytes_of(Ints{99, 1, 3, 2, 4})}});
  CollectingSink sink;
  ASSERT_TRUE(read({path}, sink));
  EXPECT_TRUE(std::ranges::equal(sink.windows.at(0).load_tokens.cells(), Row{1, 2, 3, 4}));
}

TEST(SglangStat, takes_every_element_type_of_whole_numbers) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> storages{
      {"BoolStorage", bytes_of(std::vector<std::uint8_t>{1, 0})},
      {"ByteStorage", bytes_of(std::vector<std::uint8_t>{1, 0})},
      {"CharStorage", bytes_of(std::vector<std::int8_t>{1, 0})},
      {"ShortStorage", bytes_of(std::vector<std::int16_t>{1, 0})},
      {"LongStorage", bytes_of(Longs{1, 0})},
      {"FloatStorage", bytes_of(std::vector<float>{1, 0})},
      {"DoubleStorage", bytes_of(std::vector<double>{1, 0})}};
  for (const auto& [type, bytes] : storages) {
    const auto path =
        write_torch(folder, "a.pt", stat_pickle(int_tensor("0", {1, 1, 2}, {2, 2, 1}, 0, type)), {{"0", bytes}});
    CollectingSink sink;
    ASSERT_TRUE(read({path}, sink)) << type;
    EXPECT_TRUE(std::ranges::equal(sink.windows.at(0).load_tokens.cells(), Row{1, 0})) << type;
  }
}

TEST(SglangStat, leaves_null_experts_out_and_holds_the_model_against_the_options) {
  const TemporaryFolder folder;
  const auto path =
      write_torch(folder, "a.pt", stat_pickle(int_tensor("0", {1, 1, 3}, {3, 3, 1})), {{"0", bytes_of(Ints{1, 2, 3})}});
  CollectingSink sink;
  ReadOptions options;
  options.null_experts = 1;
  ASSERT_TRUE(read({path}, sink, options));
  EXPECT_TRUE(std::ranges::equal(sink.windows.at(0).load_tokens.cells(), Row{1, 2}));
  EXPECT_EQ(sink.headers.at(0).experts, 2U);
  options.experts = 4;
  EXPECT_FALSE(read({path}, sink, options));
  options.experts = 3;
  EXPECT_TRUE(read({path}, sink, options));
  options.hidden_layers = 2;
  EXPECT_FALSE(read({path}, sink, options));
}

TEST(SglangStat, tells_its_progress_up_to_the_end) {
  const TemporaryFolder folder;
  const auto path =
      write_torch(folder, "a.pt", stat_pickle(int_tensor("0", {2, 1, 1}, {1, 1, 1})), {{"0", bytes_of(Ints{1, 2})}});
  std::vector<double> shares;
  ReadOptions options;
  options.progress = [&](double share) { shares.push_back(share); };
  CollectingSink sink;
  ASSERT_TRUE(read({path}, sink, options));
  EXPECT_EQ(shares, (std::vector<double>{0.5, 1.0}));
}

TEST(SglangPerPass, sums_ranks_and_replicas_in_the_order_of_passes) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> storages{{"map", kMap},
                                                    {"a", bytes_of(Ints{1, 2, 4, 8, 16, 32})},
                                                    {"b", bytes_of(Ints{100, 200, 400, 0, 0, 0})},
                                                    {"z", bytes_of(Ints{0, 0, 0, 0, 0, 0})}};
  const auto first = write_torch(
      folder, "0.pt", detail_pickle({counts_record(9, 0, "a"), counts_record(7, 0, "b"), counts_record(8, 0, "z")}),
      storages);
  const auto second = write_torch(folder, "1.pt", detail_pickle({counts_record(7, 1, "a")}), storages);
  CollectingSink sink;
  ASSERT_TRUE(read({first, second}, sink));
  ASSERT_EQ(sink.windows.size(), 2U) << "pass 8 has no load";
  EXPECT_TRUE(std::ranges::equal(sink.windows[0].load_tokens.cells(), Row{202, 505, 8, 48}));
  EXPECT_TRUE(std::ranges::equal(sink.windows[1].load_tokens.cells(), Row{2, 5, 8, 48}));
}

TEST(SglangPerPass, refuses_a_pass_of_a_rank_given_twice) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> storages{{"map", kMap}, {"a", bytes_of(Ints{1, 2, 4, 8, 16, 32})}};
  const auto path = write_torch(folder, "0.pt", detail_pickle({counts_record(9, 0, "a")}), storages);
  CollectingSink sink;
  const auto status = read({path, path}, sink);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("pass 9 of rank 0"), std::string::npos) << status.error().message;
}

TEST(SglangPerToken, maps_ids_and_drops_columns_nobody_uses) {
  const TemporaryFolder folder;
  // Layer 0: token 0 chose slots 0 and 1, token 1 slot 2 alone; layer 1 is dense.
  const auto path = write_torch(
      folder, "0.pt", detail_pickle({ids_record(5, 1, pickled_list({pickled(1), pickled(1)})), ids_record(4, 2, "N")}),
      {{"map", kMap}, {"i", bytes_of(Ints{0, 1, -1, 2, -1, -1, -1, -1, -1, -1, -1, -1})}});
  CollectingSink sink;
  ASSERT_TRUE(read({path}, sink));
  EXPECT_FALSE(sink.headers.at(0).has_loads);
  EXPECT_EQ(sink.headers[0].top_k, 2U);
  EXPECT_EQ(sink.headers[0].layer_of_round, (std::vector<std::uint32_t>{0, 1}));
  ASSERT_EQ(sink.sequences.size(), 3U);
  const std::vector<ExpertIndex> one{1, 0, kNoExpert, kNoExpert};
  const std::vector<ExpertIndex> other{1, kNoExpert, kNoExpert, kNoExpert};
  std::vector<ExpertIndex> both = one;
  both.insert(both.end(), other.begin(), other.end());
  EXPECT_EQ(sink.sequences[0].experts, both);
  EXPECT_EQ(sink.sequences[0].label.stage, Stage::kDecode);
  EXPECT_EQ(sink.sequences[0].label.window, 0U);
  EXPECT_EQ(sink.sequences[1].experts, one);
  EXPECT_EQ(sink.sequences[2].experts, other);
  EXPECT_EQ(sink.sequences[2].label.stage, Stage::kPrefill);
  EXPECT_EQ(sink.sequences[2].label.window, 1U);
}

TEST(SglangRecording, skips_ranks_without_a_pass_and_refuses_mixed_modes) {
  const TemporaryFolder folder;
  const auto empty = write_torch(folder, "empty.pt", detail_pickle({}), {{"map", kMap}});
  const auto passes = write_torch(folder, "passes.pt", detail_pickle({counts_record(1, 0, "a")}),
                                  {{"map", kMap}, {"a", bytes_of(Ints{1, 2, 4, 8, 16, 32})}});
  const auto stat = write_torch(folder, "stat.pt", stat_pickle(int_tensor("0", {1, 2, 2}, {4, 2, 1})),
                                {{"0", bytes_of(Ints{1, 2, 3, 4})}});
  CollectingSink sink;
  EXPECT_TRUE(read({empty, passes}, sink));
  EXPECT_FALSE(read({empty}, sink));
  const auto status = read({stat, passes}, sink);
  ASSERT_FALSE(status);
  for (const char* const part : {"stat.pt", "passes.pt", "one mode"})
    EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message;
}

TEST(SglangRecording, hands_on_the_failure_of_its_sink) {
  class FullSink : public CollectingSink {
    Status loads(StageLoad) override { return failure("full"); }
  };
  const TemporaryFolder folder;
  const auto path =
      write_torch(folder, "a.pt", stat_pickle(int_tensor("0", {1, 1, 1}, {1, 1, 1})), {{"0", bytes_of(Ints{1})}});
  FullSink sink;
  EXPECT_EQ(read({path}, sink).error().message, "full");
}

TEST(TorchArchive, is_told_from_npz) {
  const TemporaryFolder folder;
  const auto torch = write_torch(folder, "a.pt", pickle_of("N"), {});
  const auto npz = testing::write_npz(folder, "a.npz", {{"n", testing::npy("<i4", "(1,)", "????")}});
  EXPECT_EQ(torch_content(torch).value(), TorchContent::kOther);
  EXPECT_EQ(torch_content(npz).value(), TorchContent::kNoTorch);
  EXPECT_FALSE(torch_content(folder.write("a.zip", "PK\x03\x04 cut")));
}

TEST(TorchArchive, refuses_big_endian_files) {
  const TemporaryFolder folder;
  const auto path = write_torch(folder, "a.pt", pickle_of("N"), {}, "big");
  const auto archive = TorchArchive::open(path);
  ASSERT_FALSE(archive);
  EXPECT_NE(archive.error().message.find("byteorder"), std::string::npos) << archive.error().message;
}

struct Malformed {
  const char* name;
  std::string pickle;
  std::map<std::string, std::string> storages;
  const char* message;
};

class MalformedRecording : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedRecording, is_refused_with_its_reason) {
  const TemporaryFolder folder;
  const auto path = write_torch(folder, "m.pt", GetParam().pickle, GetParam().storages);
  CollectingSink sink;
  const auto status = read({path}, sink);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidInput);
  const std::string& message = status.error().message;
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

const float kNan = std::numeric_limits<float>::quiet_NaN();
const std::string kFour = bytes_of(Ints{1, 2, 3, 4});

INSTANTIATE_TEST_SUITE_P(
    Tensors, MalformedRecording,
    ::testing::Values(
        Malformed{"past_its_storage",
                  stat_pickle(int_tensor("0", {1, 2, 2}, {4, 2, 1}, 1)),
                  {{"0", kFour}},
                  "beyond the 4 elements"},
        Malformed{"stride_past_its_storage",
                  stat_pickle(int_tensor("0", {1, 2, 2}, {4, 3, 1})),
                  {{"0", kFour}},
                  "beyond the 4 elements"},
        Malformed{"storage_shorter_than_its_type",
                  stat_pickle(int_tensor("0", {1, 2, 2}, {4, 2, 1}, 0, "LongStorage")),
                  {{"0", kFour}},
                  "beyond the 2 elements"},
        Malformed{"huge",
                  stat_pickle(int_tensor("0", {2147483647, 4096, 65535}, {0, 0, 0})),
                  {{"0", kFour}},
                  "but 4 elements are stored"},
        Malformed{"overflowing",
                  stat_pickle(int_tensor("0", {2147483647, 4096, 65535}, {2147483647, 2147483647, 1})),
                  {{"0", kFour}},
                  "beyond the 4 elements"},
        Malformed{
            "overflowing_product",
            stat_pickle(pickled_tensor(pickled_storage("IntStorage", "0"), 0, {2147483647, 4000, 65535}, {0, 0, 0})),
            {{"0", ""}},
            "beyond the 0 elements"},
        Malformed{"storage_missing",
                  stat_pickle(int_tensor("1", {1, 2, 2}, {4, 2, 1})),
                  {{"0", kFour}},
                  "entry data/1, which is missing"},
        Malformed{"wrong_rank", stat_pickle(int_tensor("0", {4}, {1})), {{"0", kFour}}, "3 dimensions"},
        Malformed{"no_layers", stat_pickle(int_tensor("0", {1, 0, 4}, {4, 4, 1})), {{"0", kFour}}, "from 1 to 4096"},
        Malformed{"no_steps", stat_pickle(int_tensor("0", {0, 2, 2}, {4, 2, 1})), {{"0", kFour}}, "all zero"},
        Malformed{"too_many_experts",
                  stat_pickle(int_tensor("0", {1, 1, 65536}, {1, 1, 1})),
                  {{"0", kFour}},
                  "65535 experts"},
        Malformed{
            "all_zero", stat_pickle(int_tensor("0", {1, 2, 1}, {2, 1, 1})), {{"0", bytes_of(Ints{0, 0})}}, "all zero"},
        Malformed{"negative_count",
                  stat_pickle(int_tensor("0", {1, 2, 1}, {2, 1, 1})),
                  {{"0", bytes_of(Ints{3, -1})}},
                  "logical_count[0, 1, 0] is -1"},
        Malformed{"nan_count",
                  stat_pickle(int_tensor("0", {1, 2, 1}, {2, 1, 1}, 0, "FloatStorage")),
                  {{"0", bytes_of(std::vector<float>{1, kNan})}},
                  "is nan"},
        Malformed{"fractional_count",
                  stat_pickle(int_tensor("0", {1, 1, 2}, {2, 2, 1}, 0, "DoubleStorage")),
                  {{"0", bytes_of(std::vector<double>{1, 2.5})}},
                  "is 2.5"},
        Malformed{"count_beyond_reason",
                  stat_pickle(int_tensor("0", {1, 1, 1}, {1, 1, 1}, 0, "LongStorage")),
                  {{"0", bytes_of(Longs{std::int64_t{1} << 41})}},
                  "is 2199023255552"},
        Malformed{"counts_are_a_list", stat_pickle(pickled_list({})), {}, "logical_count is a list of 0"}),
    [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Records, MalformedRecording,
    ::testing::Values(
        Malformed{"no_dictionary", pickle_of("]"), {}, "m.pt is a list of 0"},
        Malformed{"no_known_key", pickle_of(pickled_dict({{"epoch", pickled(3)}})), {}, "logical_count is missing"},
        Malformed{"no_map", pickle_of(pickled_dict({{"records", "]"}})), {}, "last_physical_to_logical_map is missing"},
        Malformed{"no_records", detail_pickle({}), {{"map", kMap}}, "records is empty"},
        Malformed{"record_without_rank",
                  detail_pickle({pickled_dict({{"forward_pass_id", pickled(1)}})}),
                  {{"map", kMap}},
                  "records[0].rank is missing"},
        Malformed{"record_is_none", detail_pickle({"N"}), {{"map", kMap}}, "records[0] is None"},
        Malformed{"map_id_out_of_range",
                  detail_pickle({}),
                  {{"map", bytes_of(Longs{0, 1, 2, 0, 3, 1})}},
                  "last_physical_to_logical_map[1, 1] is 3"},
        Malformed{"negative_map_id", detail_pickle({}), {{"map", bytes_of(Longs{0, 1, 2, 0, -1, 1})}}, "[1, 1] is -1"},
        Malformed{"counts_of_other_slots",
                  detail_pickle({record(1, 0, {{"global_physical_count", int_tensor("a", {2, 2}, {2, 1})}})}),
                  {{"map", kMap}, {"a", kFour}},
                  "map is 2 x 3"},
        Malformed{"modes_mixed_in_a_file",
                  detail_pickle({counts_record(1, 0, "a"), ids_record(2, 1, "N")}),
                  {{"map", kMap}},
                  "differs in mode"},
        Malformed{"id_beyond_the_slots",
                  detail_pickle({ids_record(1, 2, "N")}),
                  {{"map", kMap}, {"i", bytes_of(Ints{0, 1, 2, 0, 1, 2, 0, 1, 3, 0, 1, 2})}},
                  "records[0].topk_ids_of_layer[1, 0, 2] is 3"},
        Malformed{"id_below_none",
                  detail_pickle({ids_record(1, 2, "N")}),
                  {{"map", kMap}, {"i", bytes_of(Ints{0, 1, 2, 0, 1, -2, 0, 1, 2, 0, 1, 2})}},
                  "[0, 1, 2] is -2"},
        Malformed{"ids_without_any_expert",
                  detail_pickle({ids_record(1, 2, "N")}),
                  {{"map", kMap}, {"i", bytes_of(Ints(12, -1))}},
                  "no token"},
        Malformed{"expert_chosen_twice",
                  detail_pickle({ids_record(1, 2, "N")}),
                  {{"map", kMap}, {"i", bytes_of(Ints{0, 2, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1})}},
                  "expert 1 twice"},
        Malformed{"lengths_that_fall_short",
                  detail_pickle({ids_record(1, 1, pickled_list({pickled(1)}))}),
                  {{"map", kMap}},
                  "adds up to 1 tokens but the pass has 2"},
        Malformed{"lengths_that_go_beyond",
                  detail_pickle({ids_record(1, 1, pickled_list({pickled(1), pickled(2)}))}),
                  {{"map", kMap}},
                  "holds 2 after 1 of the pass's 2 tokens"},
        Malformed{"lengths_of_zero",
                  detail_pickle({ids_record(1, 1, pickled_list({pickled(0)}))}),
                  {{"map", kMap}},
                  "holds 0"},
        Malformed{"foreign_global", pickle_of("cos\nsystem\n"), {}, "data.pkl byte 2: it names os.system"}),
    [](const auto& instance) { return instance.param.name; });

TEST(SglangRecording, refuses_a_data_file_of_which_any_byte_is_cut) {
  const TemporaryFolder folder;
  const auto path = write_torch(folder, "a.pt", detail_pickle({counts_record(1, 0, "a")}),
                                {{"map", kMap}, {"a", bytes_of(Ints{1, 2, 4, 8, 16, 32})}});
  for (auto length = std::filesystem::file_size(path); length-- > 0;) {
    std::filesystem::resize_file(path, length);
    CollectingSink sink;
    EXPECT_FALSE(read({path}, sink)) << length;
  }
}

TEST(SglangRecording, survives_every_changed_byte) {
  const TemporaryFolder folder;
  const auto path =
      write_torch(folder, "a.pt", detail_pickle({ids_record(5, 1, pickled_list({pickled(1), pickled(1)}))}),
                  {{"map", kMap}, {"i", bytes_of(Ints{0, 1, -1, 2, -1, -1, -1, -1, -1, -1, -1, -1})}});
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0xFF);
    CollectingSink sink;
    if (read({folder.write("b.pt", changed)}, sink)) ++accepted;
  }
  // Dates, versions and local headers are not looked at; every byte of an entry's content is.
  EXPECT_LT(accepted, whole.size() / 2);
}

}  // namespace
}  // namespace evenkeel::sglang_recording_test
