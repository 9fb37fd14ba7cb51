#include "pipeline/trace/safetensors.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "pipeline/trace/json_file.h"

namespace evenkeel {
namespace {

using simdjson::dom::element;

static_assert(std::endian::native == std::endian::little, "lengths and data are read as little-endian in place");

constexpr std::uint64_t kTensorHeaderBytesMax = std::uint64_t{64} << 20;
constexpr std::size_t kTensorDimensionsMax = 8;

/// Bytes of one element of a dtype: its digits are bits ("I64", "F8_E4M3").
std::optional<std::size_t> dtype_bytes(std::string_view dtype) {
  constexpr std::array<std::string_view, 15> kDtypes{"BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3", "I16", "U16", "F16",
                                                     "BF16", "I32", "U32", "F32",     "I64",     "U64", "F64"};
  if (std::ranges::find(kDtypes, dtype) == kDtypes.end()) return std::nullopt;
  if (dtype.find("64") != std::string_view::npos) return 8;
  if (dtype.find("32") != std::string_view::npos) return 4;
  return dtype.find("16") != std::string_view::npos ? 2 : 1;
}

/// The numbers of a list of at most `size_max`; empty where it is something else.
std::optional<std::vector<std::uint64_t>> numbers(simdjson::simdjson_result<element> value, std::size_t size_max) {
  simdjson::dom::array list;
  if (value.get(list) || list.size() > size_max) return std::nullopt;
  std::vector<std::uint64_t> result;
  for (const element item : list) {
    std::uint64_t number = 0;
    if (item.get(number)) return std::nullopt;
    result.push_back(number);
  }
  return result;
}

/// A tensor with offsets into the data, as the header has them.
Result<SafeTensor> parse_tensor(std::string_view name, const element& value, const std::string& path) {
  const std::string where = fmt::format("{}: tensor '{}'", path, name.substr(0, 64));
  std::string_view dtype;
  const auto shape = numbers(value["shape"], kTensorDimensionsMax);
  const auto offsets = numbers(value["data_offsets"], 2);
  if (value["dtype"].get(dtype) || !shape || !offsets || offsets->size() != 2) {
    return invalid_input(fmt::format("{} lacks dtype, shape or data_offsets; write the file again", where));
  }
  const auto item_bytes = dtype_bytes(dtype);
  if (!item_bytes) {
    return invalid_input(
        fmt::format("{} has dtype '{}', which is not known; save it as I64", where, dtype.substr(0, 16)));
  }
  std::uint64_t bytes = *item_bytes;
  bool fits = true;
  for (const std::uint64_t dimension : *shape) fits = fits && !__builtin_mul_overflow(bytes, dimension, &bytes);
  const auto [begin, end] = std::pair((*offsets)[0], (*offsets)[1]);
  if (!fits || begin > end || end - begin != bytes) {
    return invalid_input(fmt::format("{} has data_offsets {} to {}, which do not fit its shape; write the file again",
                                     where, begin, end));
  }
  return SafeTensor{std::string(name), std::string(dtype), {shape->begin(), shape->end()}, begin, end};
}

Result<std::vector<SafeTensor>> parse_header(const std::string& text, const std::string& path) {
  simdjson::dom::parser parser;
  simdjson::dom::object header;
  if (const auto error = parser.parse(text).get(header)) {
    return invalid_input(fmt::format("{}: its header is not a JSON object ({}); write the file again", path,
                                     simdjson::error_message(error)));
  }
  std::vector<SafeTensor> tensors;
  for (const auto& [name, value] : header) {
    if (name == "__metadata__") continue;
    EVENKEEL_TRY(tensor, parse_tensor(name, value, path));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

/// Puts the tensors in the order of their data and moves their offsets to the file's.
Status place_tensors(std::uint64_t data_begin, std::uint64_t file_bytes, const std::string& path,
                     std::vector<SafeTensor>& tensors) {
  std::ranges::sort(tensors, {}, [](const SafeTensor& tensor) { return std::pair(tensor.begin, tensor.end); });
  std::uint64_t expected = 0;
  for (SafeTensor& tensor : tensors) {
    if (tensor.begin != expected) {
      return invalid_input(fmt::format(
          "{}: tensor '{}' starts at byte {} of the data but the one before ends at {}; write the file again", path,
          tensor.name.substr(0, 64), tensor.begin, expected));
    }
    expected = tensor.end;
  }
  if (expected != file_bytes - data_begin) {
    return invalid_input(fmt::format("{}: its header claims {} bytes of data but {} follow; copy or write it again",
                                     path, expected, file_bytes - data_begin));
  }
  for (SafeTensor& tensor : tensors) {
    tensor.begin += data_begin;
    tensor.end += data_begin;
  }
  return {};
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& file) {
  const std::string path = file.string();
  EVENKEEL_TRY_STATUS(check_regular_file(file));
  std::ifstream in(file, std::ios::binary);
  in.seekg(0, std::ios::end);
  const auto file_bytes = static_cast<std::uint64_t>(in.tellg());
  in.seekg(0);
  std::uint64_t header_bytes = 0;
  if (!in.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes)) {
    return invalid_input(fmt::format(
        "{}: it has {} bytes; a safetensors file starts with 8 that tell its header's length", path, file_bytes));
  }
  if (header_bytes > kTensorHeaderBytesMax || header_bytes > file_bytes - sizeof header_bytes) {
    return invalid_input(fmt::format("{}: its header claims {} bytes, more than the file or the limit of {} holds",
                                     path, header_bytes, kTensorHeaderBytesMax));
  }
  std::string text(header_bytes, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    return invalid_input(fmt::format("{}: its header ends early; copy or write it again", path));
  }
  EVENKEEL_TRY(tensors, parse_header(text, path));
  EVENKEEL_TRY_STATUS(place_tensors(sizeof header_bytes + header_bytes, file_bytes, path, tensors));
  return SafetensorsFile(path, std::move(in), std::move(tensors));
}

Status SafetensorsFile::read(std::uint64_t offset, std::span<std::byte> out) {
  in_.seekg(static_cast<std::streamoff>(offset));
  if (!in_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()))) {
    return invalid_input(fmt::format("{}: the data ends early at byte {}; copy or write it again", path_, offset));
  }
  return {};
}

}  // namespace evenkeel
