#include "pipeline/trace/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

namespace evenkeel {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are read as little-endian in place");

constexpr std::string_view kMagic = "\x93NUMPY";
/// NumPy pads headers to 64 bytes; ours hold three short fields.
constexpr std::size_t kHeaderBytesMax = 4096;
constexpr std::size_t kDimensionsMax = 8;

/// What follows `'key':` in a header dictionary, leading spaces removed.
std::optional<std::string_view> header_field(std::string_view dictionary, std::string_view key) {
  const std::size_t at = dictionary.find(fmt::format("'{}'", key));
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t colon = dictionary.find(':', at);
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view value = dictionary.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

std::optional<std::vector<std::size_t>> parse_shape(std::string_view text) {
  if (!text.starts_with('(')) return std::nullopt;
  std::vector<std::size_t> shape;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  while (at != end && *at != ')') {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    std::size_t dimension = 0;
    const auto [next, error] = std::from_chars(at, end, dimension);
    if (error != std::errc() || shape.size() == kDimensionsMax) return std::nullopt;
    shape.push_back(dimension);
    at = next;
  }
  if (at == end) return std::nullopt;
  return shape;
}

/// Kind and item size of a dtype such as "'<i8'".
std::optional<std::pair<char, std::size_t>> parse_dtype(std::string_view text) {
  if (text.size() < 4 || text[0] != '\'') return std::nullopt;
  const char order = text[1];
  const char kind = text[2];
  std::size_t number = 0;
  const auto [next, error] = std::from_chars(text.data() + 3, text.data() + text.size(), number);
  if (error != std::errc() || next == text.data() + text.size() || *next != '\'') return std::nullopt;
  const bool is_number = std::string_view("iufb").find(kind) != std::string_view::npos;
  const bool is_text = kind == 'U' || kind == 'S';
  if (is_number ? !std::has_single_bit(number) || number > 8 : !is_text || number == 0 || number > (1U << 20))
    return std::nullopt;
  const bool is_byte_sized = kind == 'S' || number == 1;
  if (order != '<' && !(order == '|' && is_byte_sized)) return std::nullopt;
  return std::pair(kind, kind == 'U' ? number * 4 : number);
}

std::optional<std::size_t> product(std::span<const std::size_t> factors) {
  std::size_t result = 1;
  for (const std::size_t factor : factors) {
    if (__builtin_mul_overflow(result, factor, &result)) return std::nullopt;
  }
  return result;
}

}  // namespace

std::size_t NpyHeader::elements() const { return product(shape).value_or(std::numeric_limits<std::size_t>::max()); }

Result<std::pair<NpyHeader, std::size_t>> parse_npy_header(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || !text.starts_with(kMagic))
    return invalid_input("it is not a NumPy array (no \\x93NUMPY magic)");
  const auto version = static_cast<unsigned>(bytes[6]);
  if (version < 1 || version > 3) {
    return invalid_input(fmt::format("NumPy format version {} is unknown; save with version 1 to 3", version));
  }
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::size_t length = 0;
  std::memcpy(&length, bytes.data() + 8, length_bytes);
  const std::size_t start = 8 + length_bytes;
  if (length > kHeaderBytesMax || start + length > text.size()) {
    return invalid_input(fmt::format("its header claims {} bytes, more than the file or the limit of {} holds", length,
                                     kHeaderBytesMax));
  }
  const std::string_view dictionary = text.substr(start, length);
  const auto descr = header_field(dictionary, "descr");
  const auto order = header_field(dictionary, "fortran_order");
  const auto shape = header_field(dictionary, "shape");
  if (!descr || !order || !shape) return invalid_input("its header lacks descr, fortran_order or shape");
  if (!order->starts_with("False"))
    return invalid_input("it is in Fortran order; save it in C order (numpy.ascontiguousarray)");
  const auto dtype = parse_dtype(*descr);
  if (!dtype) {
    return invalid_input(fmt::format("its dtype {} is not accepted; save little-endian integers, floats or text",
                                     descr->substr(0, std::min<std::size_t>(descr->find(','), 24))));
  }
  auto dimensions = parse_shape(*shape);
  if (!dimensions || !product(*dimensions)) return invalid_input("its header's shape cannot be read or overflows");
  return std::pair(NpyHeader{dtype->first, dtype->second, std::move(*dimensions)}, start + length);
}

std::optional<std::int64_t> integer_at(const NpyHeader& header, std::span<const std::byte> data, std::size_t index) {
  const std::byte* const at = data.data() + index * header.item_bytes;
  const auto load = [&]<class T>(T value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  const bool is_signed = header.kind == 'i';
  switch (header.item_bytes) {
    case 1:
      return is_signed ? load(std::int8_t{}) : load(std::uint8_t{});
    case 2:
      return is_signed ? load(std::int16_t{}) : load(std::uint16_t{});
    case 4:
      return is_signed ? std::int64_t{load(std::int32_t{})} : std::int64_t{load(std::uint32_t{})};
    case 8: {
      const auto value = load(std::int64_t{});
      if (!is_signed && value < 0) return std::nullopt;
      return value;
    }
    default:
      return std::nullopt;
  }
}

Result<NpzArchive> NpzArchive::open(const std::filesystem::path& path) {
  EVENKEEL_TRY(zip, ZipArchive::open(path, "write it again with numpy.savez"));
  return NpzArchive(std::move(zip), path.string());
}

bool NpzArchive::has(std::string_view array) const { return zip_.has(fmt::format("{}.npy", array)); }

Result<NpyStream> NpzArchive::array(std::string_view name) const {
  const std::string label = fmt::format("{}: array '{}'", path_, name);
  const std::string entry_name = fmt::format("{}.npy", name);
  if (!has(name)) return invalid_input(fmt::format("{} is missing; a native trace holds ids and seq_start", label));
  EVENKEEL_TRY(entry, zip_.entry(entry_name, label));
  std::array<std::byte, kHeaderBytesMax + 12> head;
  const auto start =
      std::span(head).first(static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), entry.size())));
  EVENKEEL_TRY_STATUS(entry.read(start));
  const auto parsed = parse_npy_header(start);
  if (!parsed) return invalid_input(fmt::format("{}: {}", label, parsed.error().message));
  const auto& [header, header_bytes] = *parsed;
  std::size_t data_bytes = 0;
  if (__builtin_mul_overflow(header.elements(), header.item_bytes, &data_bytes) || entry.size() < header_bytes ||
      data_bytes != entry.size() - header_bytes) {
    return invalid_input(
        fmt::format("{}: its header claims shape ({}) of {} bytes each but {} bytes follow; write it again", label,
                    fmt::join(header.shape, ", "), header.item_bytes,
                    entry.size() < header_bytes ? 0 : entry.size() - header_bytes));
  }
  // Deflated entries cannot seek, so the entry is opened anew and read past its header.
  EVENKEEL_TRY(data, zip_.entry(entry_name, label));
  EVENKEEL_TRY_STATUS(data.skip(header_bytes));
  return NpyStream(header, std::move(data));
}

Result<std::vector<std::int64_t>> NpzArchive::integers(std::string_view name, std::size_t elements_max) const {
  EVENKEEL_TRY(stream, array(name));
  const NpyHeader& header = stream.header();
  const std::size_t elements = header.elements();
  if (!header.is_integer() || header.shape.size() > 1 || elements > elements_max) {
    return invalid_input(
        fmt::format("{}: array '{}' has shape ({}) and kind '{}'; give at most {} integers in one dimension", path_,
                    name, fmt::join(header.shape, ", "), header.kind, elements_max));
  }
  std::vector<std::byte> data(elements * header.item_bytes);
  EVENKEEL_TRY_STATUS(stream.read(data));
  std::vector<std::int64_t> values(elements);
  for (std::size_t i = 0; i < elements; ++i) {
    const auto value = integer_at(header, data, i);
    if (!value) return invalid_input(fmt::format("{}: array '{}' element {} does not fit 64 bits", path_, name, i));
    values[i] = *value;
  }
  return values;
}

Result<std::vector<std::string>> NpzArchive::strings(std::string_view name, std::size_t elements_max) const {
  EVENKEEL_TRY(stream, array(name));
  const NpyHeader& header = stream.header();
  const std::size_t elements = header.elements();
  const std::size_t character_bytes = header.kind == 'U' ? 4 : 1;
  if ((header.kind != 'U' && header.kind != 'S') || header.shape.size() != 1 || elements > elements_max ||
      header.item_bytes > 1024) {
    return invalid_input(fmt::format("{}: array '{}' has shape ({}) and kind '{}'; give at most {} short strings",
                                     path_, name, fmt::join(header.shape, ", "), header.kind, elements_max));
  }
  std::vector<std::byte> data(elements * header.item_bytes);
  EVENKEEL_TRY_STATUS(stream.read(data));
  std::vector<std::string> values(elements);
  for (std::size_t i = 0; i < elements; ++i) {
    for (std::size_t at = 0; at < header.item_bytes; at += character_bytes) {
      std::uint32_t character = 0;
      std::memcpy(&character, data.data() + i * header.item_bytes + at, character_bytes);
      if (character == 0) break;
      if (character > 0x7E)
        return invalid_input(fmt::format("{}: array '{}' element {} is not ASCII text", path_, name, i));
      values[i].push_back(static_cast<char>(character));
    }
  }
  return values;
}

}  // namespace evenkeel
