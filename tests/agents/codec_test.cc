#include "agents/wire/codec.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "agents/wire/limits.h"
#include "tests/agents/wire_samples.h"

namespace evenkeel::wire::codec_test {
namespace {

using std::string_literals::operator""s;

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

/// Lines of "<type> <hex>", one a message of sample_messages(): the bytes that version 1 has promised.
std::string golden() {
  std::ifstream file(EVENKEEL_GOLDEN);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Codec, gives_back_every_message_it_wrote) {
  for (const Message& message : sample_messages()) {
    const auto read = decode(encode(message));
    ASSERT_TRUE(read) << type_name(message) << ": " << read.error().message;
    EXPECT_EQ(*read, message) << type_name(message);
  }
}

TEST(Codec, writes_the_bytes_version_1_promised) {
  std::string lines;
  for (const Message& message : sample_messages()) {
    lines += std::string(type_name(message)) + " " + hex(encode(message)) + "\n";
  }
  EXPECT_EQ(lines, golden());
}

TEST(Codec, gives_back_a_placement_it_wrote) {
  const auto read = decode_placement(encode_placement(sample_placement(2)));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, sample_placement(2));
}

TEST(Codec, refuses_every_truncation_of_every_message) {
  for (const Message& message : sample_messages()) {
    const std::string bytes = encode(message);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode(std::string_view(bytes).substr(0, size))) << type_name(message) << " cut to " << size;
    }
  }
}

TEST(Codec, survives_every_single_changed_byte) {
  for (const Message& message : sample_messages()) {
    const std::string bytes = encode(message);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const int change : {0x01, 0x20, 0x80, 0xFF}) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ change);
        const auto read = decode(changed);
        EXPECT_TRUE(!read || decode(encode(*read))) << type_name(message) << " changed at " << at;
      }
    }
  }
}

/// A READY with parts of it replaced: fixmap of five, as "name" and value pairs.
std::string ready_with(std::string_view from, std::string_view to) {
  std::string bytes = encode(Ready{{3, 1}, 1});
  const std::size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos);
  return bytes.replace(at, from.size(), to);
}

void expect_refused(const std::string& payload, std::string_view words) {
  const auto read = decode(payload);
  ASSERT_FALSE(read) << hex(payload);
  EXPECT_EQ(read.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(read.error().message.find(words), std::string::npos) << read.error().message;
}

TEST(Codec, reads_the_message_the_malformed_ones_are_made_from) { EXPECT_TRUE(decode(ready_with("ready", "ready"))); }
TEST(Codec, refuses_an_empty_payload) { EXPECT_FALSE(decode("")); }
TEST(Codec, refuses_trailing_bytes) { expect_refused(encode(Ready{}) + "\0"s, "after its end"); }
TEST(Codec, refuses_an_unknown_type) { expect_refused(ready_with("ready", "steady"s.substr(0, 5)), "type"); }
TEST(Codec, refuses_an_unknown_version) { expect_refused(ready_with("version\x01", "version\x02"), "version 2"); }
TEST(Codec, refuses_a_missing_field) { expect_refused(ready_with("term", "germ"), "no field term"); }
TEST(Codec, refuses_a_field_too_many) { expect_refused("\x86" + encode(Ready{}).substr(1) + "\xa1x\x01", "6 fields"); }
TEST(Codec, refuses_a_field_given_twice) {
  expect_refused("\x86" + encode(Ready{}).substr(1) + "\xa4term\x01", "6 fields");
}
TEST(Codec, refuses_a_negative_number) { expect_refused(ready_with("term\x03", "term\xff"), "term"); }
TEST(Codec, refuses_a_fraction) { expect_refused(ready_with("term\x03", "term\xca\x40\x40\0\0"s), "term"); }
TEST(Codec, refuses_text_for_a_number) {
  expect_refused(ready_with("term\x03",
                            "term\xa1"
                            "3"),
                 "term");
}
TEST(Codec, refuses_a_payload_that_is_no_map) { expect_refused("\x93\x01\x02\x03", "not a map"); }
TEST(Codec, refuses_binary_and_extension_values) {
  EXPECT_FALSE(decode(ready_with("term\x03", "term\xc4\x01\x03")));
  EXPECT_FALSE(decode(ready_with("term\x03", "term\xd4\x01\x03")));
}
TEST(Codec, refuses_a_payload_above_the_limit) { expect_refused(std::string(kFrameBytesMax + 1, '\xc0'), "at most"); }
TEST(Codec, refuses_deep_nesting) { expect_refused(std::string(100'000, '\x91'), "depth"); }
TEST(Codec, refuses_a_declared_size_it_would_have_to_reserve) {
  expect_refused("\xdd\xff\xff\xff\xff", "array");
  expect_refused("\xdf\xff\xff\xff\xff", "map");
  expect_refused("\xdb\xff\xff\xff\xff", "insufficient bytes");
}

Report report_of(const Grid<std::uint64_t>& counts) { return {1, 1, 0, 0, 1, {{Stage::kMixed, 1, counts}}}; }

TEST(Codec, refuses_counts_above_the_limit) {
  Report report = report_of(Grid<std::uint64_t>(1, 1, kTokensMax));
  EXPECT_TRUE(decode(encode(report)));
  report.stages[0].load_tokens(0, 0) = kTokensMax + 1;
  expect_refused(encode(report), "counts");
}

TEST(Codec, takes_the_largest_table_and_refuses_a_larger_one) {
  const std::size_t layers = kCellsMax / kExpertsMax;
  EXPECT_TRUE(decode(encode(report_of(Grid<std::uint64_t>(layers, kExpertsMax, kTokensMax)))));
  expect_refused(encode(report_of(Grid<std::uint64_t>(layers + 1, kExpertsMax, 0))), "cells");
  expect_refused(encode(report_of(Grid<std::uint64_t>(1, kExpertsMax + 1, 0))), "counts");
}

TEST(Codec, refuses_rows_of_different_lengths) {
  std::string bytes = encode(report_of(Grid<std::uint64_t>(2, 2, 5)));
  const std::size_t rows = bytes.find("counts") + 6;
  EXPECT_EQ(bytes.substr(rows), "\x92\x92\x05\x05\x92\x05\x05");
  expect_refused(bytes.substr(0, rows) + "\x92\x92\x05\x05\x91\x05", "equally long");
}

TEST(Codec, takes_three_stages_of_the_largest_table_in_one_frame) {
  const Grid<std::uint64_t> counts(kCellsMax / kExpertsMax, kExpertsMax, kTokensMax);
  Report report = report_of(counts);
  report.stages.push_back({Stage::kPrefill, 1, counts});
  report.stages.push_back({Stage::kDecode, 1, counts});
  EXPECT_TRUE(decode(encode(report)));
  report.stages.push_back({Stage::kDecode, 1, Grid<std::uint64_t>(1, 1)});
  expect_refused(encode(report), "stages");
}

TEST(Codec, refuses_stages_that_repeat_differ_in_shape_or_are_none) {
  Report report = report_of(Grid<std::uint64_t>(2, 2));
  report.stages.push_back(report.stages.front());
  expect_refused(encode(report), "a stage twice");
  report.stages.back() = {Stage::kDecode, 1, Grid<std::uint64_t>(2, 3)};
  expect_refused(encode(report), "two shapes");
  report.stages.clear();
  expect_refused(encode(report), "stages");
}

TEST(Codec, refuses_copies_of_what_the_placement_does_not_have) {
  Prepare prepare{{3, 1}, 0, 30'000, sample_placement(1), {}, 0};
  EXPECT_TRUE(decode(encode(prepare)));
  for (const Copy& copy : {Copy{2, 0, 0, 1}, Copy{0, 4, 0, 1}, Copy{0, 0, 2, 1}, Copy{0, 0, 0, 2}}) {
    prepare.copies = {copy};
    expect_refused(encode(prepare), "copies");
  }
}

TEST(Codec, takes_the_largest_batch_of_paths_and_refuses_a_larger_one) {
  Paths paths{1, 1, Stage::kMixed, 0, 8, 8, Grid<ExpertIndex>(kPathCellsMax / 512, 512, kNoExpert)};
  EXPECT_TRUE(decode(encode(paths)));
  paths.experts = Grid<ExpertIndex>(kPathCellsMax / 512 + 1, 512);
  expect_refused(encode(paths), "cells");
  paths.experts = Grid<ExpertIndex>(1, 12);
  expect_refused(encode(paths), "top_k");
}

TEST(Codec, refuses_a_rank_outside_the_world) { expect_refused(encode(Hello{1, 0, 2, 2, {0}, 4, 0, {}}), "rank"); }
TEST(Codec, refuses_layers_out_of_order) { expect_refused(encode(Hello{1, 0, 0, 2, {2, 1}, 4, 0, {}}), "ascending"); }

TEST(Codec, refuses_a_map_that_is_no_placement) {
  std::string bytes = encode(Snapshot{{1, 0}, sample_placement()});
  const std::size_t row = bytes.find("\x94\x00\x01\x02\x03"s);
  ASSERT_NE(row, std::string::npos);
  bytes[row + 1] = 1;
  expect_refused(bytes, "no slot for expert 0");
  bytes[row + 1] = 9;
  expect_refused(bytes, "holds expert 9");
}

TEST(Digest, differs_where_one_slot_or_the_shape_does) {
  EXPECT_EQ(digest(sample_placement()), digest(sample_placement()));
  EXPECT_NE(digest(sample_placement()), digest(sample_placement(1)));
  Placement::Fields fields = sample_placement().fields();
  fields.nodes = 2;
  EXPECT_NE(digest(*Placement::create(fields)), digest(sample_placement()));
  EXPECT_EQ(digest_text(0xABC).size(), 16U);
}

}  // namespace
}  // namespace evenkeel::wire::codec_test
