#include "pipeline/trace/safetensors.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/pipeline/collecting_sink.h"
#include "tests/pipeline/safetensors_text.h"

namespace evenkeel::safetensors_test {
namespace {

using testing::bytes_of;
using testing::complaint;
using testing::safetensors;
using testing::TemporaryFolder;

TEST(Safetensors, lists_tensors_in_the_order_of_their_data) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "t.safetensors",
      safetensors(
          R"({"b":{"dtype":"I64","shape":[1],"data_offsets":[4,12]},"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}})",
          "1234" + bytes_of<std::int64_t>({-7})));
  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[0].shape, (std::vector<std::size_t>{2, 1}));
  EXPECT_EQ(file->tensors()[1].dtype, "I64");
  std::array<std::int64_t, 1> value{};
  ASSERT_TRUE(file->read(file->tensors()[1].begin, std::as_writable_bytes(std::span(value))));
  EXPECT_EQ(value[0], -7);
  EXPECT_FALSE(file->read(file->tensors()[1].begin + 1, std::as_writable_bytes(std::span(value)))) << "past the end";
}

TEST(Safetensors, refuses_malformed_files) {
  const TemporaryFolder folder;
  const auto one = [](const std::string& fields) { return "{\"x\":{" + fields + "}}"; };
  const std::vector<testing::Malformed> cases{
      {"", "it has 0 bytes"},
      {"1234567", "it has 7 bytes"},
      {bytes_of<std::uint64_t>({100}) + "{}", "claims 100 bytes"},
      {bytes_of<std::uint64_t>({~std::uint64_t{0}}) + "{}", "claims 18446744073709551615 bytes"},
      {safetensors("", ""), "header is not a JSON object"},
      {safetensors("[1]", ""), "header is not a JSON object"},
      {safetensors("{\"x\":", ""), "header is not a JSON object"},
      {safetensors("{\"x\": 3}", ""), "tensor 'x' lacks dtype"},
      {safetensors(one(R"("shape":[1],"data_offsets":[0,8])"), "12345678"), "tensor 'x' lacks dtype"},
      {safetensors(one(R"("dtype":"I64","shape":[-1],"data_offsets":[0,8])"), "12345678"), "tensor 'x' lacks dtype"},
      {safetensors(one(R"("dtype":"I64","shape":[1],"data_offsets":[0])"), "12345678"), "tensor 'x' lacks dtype"},
      {safetensors(one(R"("dtype":"Q64","shape":[1],"data_offsets":[0,8])"), "12345678"), "dtype 'Q64'"},
      {safetensors(one(R"("dtype":"I64","shape":[2],"data_offsets":[0,8])"), "12345678"), "do not fit its shape"},
      {safetensors(one(R"("dtype":"I64","shape":[1],"data_offsets":[8,0])"), "12345678"), "do not fit its shape"},
      {safetensors(one(R"("dtype":"I64","shape":[4294967296,4294967296],"data_offsets":[0,0])"), ""),
       "do not fit its shape"},
      {safetensors(one(R"("dtype":"I64","shape":[1],"data_offsets":[0,8])"), "1234567"),
       "claims 8 bytes of data but 7 follow"},
      {safetensors(one(R"("dtype":"I64","shape":[1],"data_offsets":[0,8])"), "123456789"), "9 follow"},
      {safetensors(one(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])"), "12"), "starts at byte 1"},
      {safetensors(
           R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
           "123"),
       "tensor 'y' starts at byte 1 of the data but the one before ends at 2"},
  };
  for (const auto& [content, words] : cases) {
    const auto file = SafetensorsFile::open(folder.write("bad.safetensors", content));
    const Status status = file ? Status() : tl::unexpected(file.error());
    EXPECT_EQ(complaint(status, "bad.safetensors", words), "") << content;
  }
}

}  // namespace
}  // namespace evenkeel::safetensors_test
