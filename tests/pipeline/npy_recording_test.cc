#include "pipeline/trace/npy_recording.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/pipeline/collecting_sink.h"
#include "tests/pipeline/temporary_file.h"

namespace evenkeel::npy_recording_test {
namespace {

using testing::bytes_of;
using testing::CollectingSink;
using testing::complaint;
using testing::npy;
using testing::TemporaryFolder;

TEST(NpyRecording, is_one_sequence_of_every_row_as_a_layer_where_the_model_is_not_known) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "r.npy", npy("<u2", "(2, 3, 2)", bytes_of<std::uint16_t>({0, 1, 2, 3, 4, 5, /**/ 5, 4, 3, 2, 1, 0})));
  CollectingSink sink;
  const auto status = read_npy_recording(path, {}, sink);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(sink.calls, (std::vector<std::string>{"begin", "begin_sequence", "tokens", "end"}));
  EXPECT_EQ(sink.paths[0], path.string());
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(sink.headers[0].layer_of_round, (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(sink.headers[0].top_k, 2U);
  EXPECT_FALSE(sink.headers[0].has_loads);
  EXPECT_EQ(sink.experts, (std::vector<ExpertIndex>{0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0}));
}

TEST(NpyRecording, leaves_out_rows_of_dense_layers_and_what_they_hold) {
  const TemporaryFolder folder;
  // Layer 0 and 2 are dense; engines leave zeros there, which would be an expert named twice.
  const auto path = folder.write(
      "r.npy", npy("<i4", "(2, 4, 2)", bytes_of<std::int32_t>({0, 0, 1, 2, 0, 0, 3, 4, /**/ 0, 0, 5, 6, 0, 0, 7, -1})));
  CollectingSink sink;
  ReadOptions options;
  options.moe_layer_ids = {1, 3};
  options.hidden_layers = 4;
  const auto status = read_npy_recording(path, options, sink);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{1, 3}));
  EXPECT_EQ(sink.headers[0].layer_of_round, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(sink.experts, (std::vector<ExpertIndex>{1, 2, 3, 4, 5, 6, 7, kNoExpert}));
}

TEST(NpyRecording, gives_rows_of_moe_layers_the_numbers_of_the_model) {
  const TemporaryFolder folder;
  const auto path = folder.write("r.npy", npy("|u1", "(1, 2, 1)", bytes_of<std::uint8_t>({200, 7})));
  CollectingSink sink;
  ReadOptions options;
  options.moe_layer_ids = {3, 5};
  ASSERT_TRUE(read_npy_recording(path, options, sink));
  EXPECT_EQ(sink.headers[0].layer_ids, (std::vector<int>{3, 5}));
  EXPECT_EQ(sink.experts, (std::vector<ExpertIndex>{200, 7}));
}

TEST(NpyRecording, comes_in_pieces_of_about_a_mebibyte_that_add_up_to_the_file) {
  const TemporaryFolder folder;
  std::vector<std::int64_t> ids(300'000);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i % 1000);
  const auto path = folder.write("r.npy", npy("<i8", "(75000, 2, 2)", bytes_of(ids)));
  CollectingSink sink;
  double last = 0;
  ReadOptions options;
  options.progress = [&](double share) {
    EXPECT_GT(share, last);
    last = share;
  };
  ASSERT_TRUE(read_npy_recording(path, options, sink));
  EXPECT_EQ(sink.calls.size(), 3U + 3U) << "2.3 MiB";
  EXPECT_EQ(last, 1.0);
  EXPECT_TRUE(std::ranges::equal(sink.experts, ids));
}

TEST(NpyRecording, reads_every_integer_type) {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> arrays{
      {"|i1", bytes_of<std::int8_t>({1, 2})},  {"|u1", bytes_of<std::uint8_t>({1, 2})},
      {"<i2", bytes_of<std::int16_t>({1, 2})}, {"<u2", bytes_of<std::uint16_t>({1, 2})},
      {"<i4", bytes_of<std::int32_t>({1, 2})}, {"<u4", bytes_of<std::uint32_t>({1, 2})},
      {"<i8", bytes_of<std::int64_t>({1, 2})}, {"<u8", bytes_of<std::uint64_t>({1, 2})},
  };
  for (const auto& [type, data] : arrays) {
    CollectingSink sink;
    ASSERT_TRUE(read_npy_recording(folder.write("r.npy", npy(type, "(1, 1, 2)", data)), {}, sink)) << type;
    EXPECT_EQ(sink.experts, (std::vector<ExpertIndex>{1, 2})) << type;
  }
}

TEST(NpyRecording, refuses_malformed_files) {
  const TemporaryFolder folder;
  const std::vector<testing::Malformed> cases{
      {"", "not a NumPy array"},
      {"PK\x03\x04 something else", "not a NumPy array"},
      {npy("|u1", "(2, 2, 2)", "1234"), "claims shape (2, 2, 2)"},
      {npy("|u1", "(1, 2, 2)", "12345"), "5 bytes follow"},
      {npy("|u1", "(16,)", std::string(16, '\1')), "[tokens, layers, top-k], or counts [layers, experts]"},
      {npy("|u1", "(0, 4)", ""), "of counts 1 to 4096 layers"},
      {npy("|i1", "(1, 2)", "\x01\xfb"), "counts[0, 1] is -5"},
      {npy("|u1", "(1, 2)", std::string(2, '\0')), "all its counts are zero"},
      {npy("<f4", "(1, 1, 1)", "1234"), "kind 'f'"},
      {npy("|b1", "(1, 1, 1)", "1"), "kind 'b'"},
      {npy(">i4", "(1, 1, 1)", "1234"), "dtype"},
      {npy("|u1", "(1, 1, 1)", "1", true), "Fortran order"},
      {npy("|u1", "(0, 2, 2)", ""), "no token"},
      {npy("|u1", "(1, 5000, 1)", std::string(5000, '\1')), "at most 4096 layers"},
      {npy("|u1", "(1, 1, 257)", std::string(257, '\1')), "top-256"},
      {npy("<i8", "(4611686018427387904, 2, 2)", ""), "shape cannot be read or overflows"},
      {npy("<i8", "(2305843009213693952, 2, 1)", ""), "0 bytes follow"},
      {npy("|i1", "(1, 1, 2)", "\x01\xfb"), "ids[0, 0, 1] is -5"},
      {npy("<u4", "(1, 2, 1)", bytes_of<std::uint32_t>({1, 70000})), "ids[0, 1, 0] is 70000"},
      {npy("|u1", "(1, 1, 3)", "\x01\x01\x02"), "expert 1 twice"},
  };
  for (const auto& [content, words] : cases) {
    CollectingSink sink;
    EXPECT_EQ(complaint(read_npy_recording(folder.write("bad.npy", content), {}, sink), "bad.npy", words), "");
  }
}

TEST(NpyRecording, refuses_every_truncation) {
  const TemporaryFolder folder;
  const std::string whole = npy("|u1", "(2, 2, 2)", std::string("\0\1\2\3\4\5\6\7", 8));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CollectingSink sink;
    EXPECT_FALSE(read_npy_recording(folder.write("cut.npy", whole.substr(0, length)), {}, sink)) << length;
    EXPECT_TRUE(sink.calls.empty()) << "the file is held against its header before anything is handed on";
  }
}

TEST(NpyRecording, refuses_pipes_folders_and_what_is_absent) {
  const TemporaryFolder folder;
  CollectingSink sink;
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(complaint(read_npy_recording(pipe, {}, sink), "pipe", "pipe or device"), "");
  EXPECT_EQ(complaint(read_npy_recording(folder.path(), {}, sink), "evenkeel-test", "folder"), "");
  EXPECT_EQ(complaint(read_npy_recording(folder.path() / "none", {}, sink), "none", "cannot be read"), "");
}

TEST(NpyRecording, is_known_by_its_first_bytes) {
  EXPECT_TRUE(is_npy(npy("|u1", "(1, 1, 1)", "1")));
  EXPECT_FALSE(is_npy("PK\x03\x04"));
}

}  // namespace
}  // namespace evenkeel::npy_recording_test
