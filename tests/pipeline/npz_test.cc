#include "pipeline/trace/npz.h"

#include <gtest/gtest.h>

#include "tests/pipeline/temporary_file.h"

namespace evenkeel::npz_test {
namespace {

using testing::bytes_of;
using testing::npy;

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(NpyHeader, reads_kind_size_and_shape) {
  const std::string array = npy("<i8", "(3, 4)", "");
  const auto parsed = parse_npy_header(as_bytes(array));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->first.kind, 'i');
  EXPECT_EQ(parsed->first.item_bytes, 8U);
  EXPECT_EQ(parsed->first.shape, (std::vector<std::size_t>{3, 4}));
  EXPECT_EQ(parsed->second, array.size());
}

TEST(NpyHeader, refuses_every_truncation) {
  const std::string array = npy("<i8", "(3, 4)", "");
  for (std::size_t length = 0; length < array.size(); ++length) {
    EXPECT_FALSE(parse_npy_header(as_bytes(array.substr(0, length)))) << length;
  }
}

TEST(NpyHeader, refuses_fortran_order_big_endian_objects_and_overflow) {
  EXPECT_FALSE(parse_npy_header(as_bytes(npy("<i8", "(3, 4)", "", true))));
  EXPECT_FALSE(parse_npy_header(as_bytes(npy(">i8", "(3, 4)", ""))));
  EXPECT_FALSE(parse_npy_header(as_bytes(npy("|O", "(3, 4)", ""))));
  EXPECT_FALSE(parse_npy_header(as_bytes(npy("<i8", "(18446744073709551615, 4)", ""))));
  EXPECT_FALSE(parse_npy_header(as_bytes(npy("<i8", "(99999999999999999999999, 4)", ""))));
  EXPECT_FALSE(parse_npy_header(as_bytes(npy("<i8", "(-3, 4)", ""))));
}

TEST(Npz, reads_integers_and_text) {
  const testing::TemporaryFolder folder;
  const std::string text("a\0\0\0b\0\0\0c\0\0\0\0\0\0\0", 16);
  const auto path = testing::write_npz(
      folder, "a.npz",
      {{"n", npy("<i4", "(3,)", bytes_of<std::int32_t>({1, -2, 3}))}, {"s", npy("<U2", "(2,)", text)}});
  const auto archive = NpzArchive::open(path);
  ASSERT_TRUE(archive);
  EXPECT_TRUE(archive->has("n"));
  EXPECT_FALSE(archive->has("m"));
  EXPECT_EQ(*archive->integers("n", 10), (std::vector<std::int64_t>{1, -2, 3}));
  EXPECT_EQ(*archive->strings("s", 10), (std::vector<std::string>{"ab", "c"}));
  EXPECT_FALSE(archive->integers("n", 2)) << "above the limit";
}

TEST(Npz, refuses_a_header_that_claims_more_than_follows) {
  const testing::TemporaryFolder folder;
  const auto path = testing::write_npz(folder, "a.npz", {{"n", npy("<i8", "(268435456,)", "abcdefgh")}});
  const auto values = NpzArchive::open(path)->integers("n", std::size_t{1} << 40);
  ASSERT_FALSE(values);
  EXPECT_NE(values.error().message.find("claims shape (268435456)"), std::string::npos) << values.error().message;
}

}  // namespace
}  // namespace evenkeel::npz_test
