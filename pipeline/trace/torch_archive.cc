#include "pipeline/trace/torch_archive.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "pipeline/trace/half_float.h"
#include "pipeline/trace/json_file.h"
#include "pipeline/trace/pickle_globals.h"

namespace evenkeel {
namespace {

constexpr std::string_view kPickleSuffix = "/data.pkl";
constexpr std::string_view kRemedy = "it may be cut short or still being written; copy or record it again";
/// Most that is read of a tensor at once. The largest pass of 65,536 tokens, 94 layers and top-8 has 188 MiB.
constexpr std::uint64_t kReadBytesMax = std::uint64_t{2} << 30;
/// Above this a double no longer holds every whole number.
constexpr std::int64_t kWholeMax = std::int64_t{1} << 53;

/// Elements that are kept in two bytes and are read as floats.
struct Float16 {
  std::uint16_t bits;
};
struct Bfloat16 {
  std::uint16_t bits;
};

template <class T>
T number_of(T value) {
  return value;
}
float number_of(Float16 value) { return from_float16(value.bits); }
float number_of(Bfloat16 value) { return from_bfloat16(value.bits); }

/// Calls `function` with a value of the storage's element type.
template <class Function>
auto with_type(StorageType type, Function function) {
  switch (type) {
    case StorageType::kBool:
    case StorageType::kUint8:
      return function(std::uint8_t{});
    case StorageType::kInt8:
      return function(std::int8_t{});
    case StorageType::kInt16:
      return function(std::int16_t{});
    case StorageType::kInt32:
      return function(std::int32_t{});
    case StorageType::kInt64:
      return function(std::int64_t{});
    case StorageType::kFloat32:
      return function(float{});
    case StorageType::kFloat16:
      return function(Float16{});
    case StorageType::kBfloat16:
      return function(Bfloat16{});
    case StorageType::kFloat64:
      break;
  }
  return function(double{});
}

std::size_t item_bytes(StorageType type) {
  return with_type(type, [](auto value) { return sizeof value; });
}

/// Elements, and how far the last is from the first; empty where either overflows.
struct Extent {
  std::uint64_t elements = 1;
  std::uint64_t span = 0;
};

std::optional<Extent> extent_of(std::span<const std::int64_t> size, std::span<const std::int64_t> stride) {
  Extent extent;
  for (std::size_t i = 0; i < size.size(); ++i) {
    const auto entries = static_cast<std::uint64_t>(size[i]);
    std::uint64_t reach = 0;
    if (entries == 0) return Extent{0, 0};
    if (__builtin_mul_overflow(extent.elements, entries, &extent.elements) ||
        __builtin_mul_overflow(entries - 1, static_cast<std::uint64_t>(stride[i]), &reach) ||
        __builtin_add_overflow(extent.span, reach, &extent.span)) {
      return std::nullopt;
    }
  }
  return extent;
}

/// Bytes [first, last] of a storage that a tensor views, held against the storage's length.
Status check_extent(const StoredTensor& tensor, const std::optional<Extent>& extent, std::uint64_t storage_bytes,
                    const std::string& where) {
  const std::uint64_t elements = storage_bytes / item_bytes(tensor.storage.type);
  std::uint64_t last = 0;
  const bool is_beyond =
      !extent || __builtin_add_overflow(static_cast<std::uint64_t>(tensor.offset), extent->span, &last);
  if (is_beyond || last >= elements) {
    return invalid_input(fmt::format(
        "{} has size ({}), stride ({}) and offset {}, beyond the {} elements that are stored; record or copy it again",
        where, fmt::join(tensor.size, ", "), fmt::join(tensor.stride, ", "), tensor.offset, elements));
  }
  if (extent->elements > elements) {
    return invalid_input(fmt::format("{} has size ({}) but {} elements are stored; save it with contiguous()", where,
                                     fmt::join(tensor.size, ", "), elements));
  }
  return {};
}

}  // namespace

std::size_t TensorData::element(std::span<const std::size_t> indices) const {
  std::size_t element = 0;
  std::size_t dimension = 0;
  for (const std::size_t index : indices) element += index * stride_[dimension++];
  return element;
}

std::optional<std::size_t> TensorData::row(std::span<const std::size_t> indices, std::span<std::int64_t> out) const {
  return with_type(type_, [&](auto stored) -> std::optional<std::size_t> {
    const std::byte* at = bytes_.data() + element(indices) * sizeof stored;
    for (std::size_t i = 0; i < out.size(); ++i, at += stride_.back() * sizeof stored) {
      std::memcpy(&stored, at, sizeof stored);
      const auto value = number_of(stored);
      if constexpr (std::is_floating_point_v<std::remove_const_t<decltype(value)>>) {
        // NaN fails the first comparison.
        if (!(std::abs(value) <= static_cast<double>(kWholeMax)) || value != std::floor(value)) return i;
      } else if constexpr (sizeof value == sizeof(std::int64_t)) {
        if (value < -kWholeMax || value > kWholeMax) return i;
      }
      out[i] = static_cast<std::int64_t>(value);
    }
    return std::nullopt;
  });
}

std::string TensorData::text(std::span<const std::size_t> indices) const {
  return with_type(type_, [&](auto value) {
    std::memcpy(&value, bytes_.data() + element(indices) * sizeof value, sizeof value);
    return fmt::format("{}", number_of(value));
  });
}

TorchArchive::TorchArchive(ZipArchive zip, std::string path, std::string stem)
    : zip_(std::move(zip)), path_(std::move(path)), stem_(std::move(stem)) {}

Result<TorchArchive> TorchArchive::open(const std::filesystem::path& path) {
  EVENKEEL_TRY_STATUS(check_regular_file(path));
  EVENKEEL_TRY(zip, ZipArchive::open(path, kRemedy));
  std::optional<std::string> stem;
  for (const std::string& name : zip.names()) {
    if (!name.ends_with(kPickleSuffix)) continue;
    if (stem)
      return invalid_input(fmt::format("{}: it holds data.pkl twice; give what torch.save wrote", path.string()));
    stem = name.substr(0, name.size() - kPickleSuffix.size() + 1);
  }
  if (!stem) return invalid_input(fmt::format("{}: data.pkl is missing; give what torch.save wrote", path.string()));
  TorchArchive archive(std::move(zip), path.string(), std::move(*stem));
  if (archive.zip_.has(archive.stem_ + "byteorder")) {
    EVENKEEL_TRY(entry, archive.open_entry("byteorder"));
    std::array<char, 6> order{};
    if (entry.size() == order.size()) EVENKEEL_TRY_STATUS(entry.read(std::as_writable_bytes(std::span(order))));
    if (std::string_view(order.data(), order.size()) != "little") {
      return invalid_input(
          fmt::format("{}: byteorder is not little; record on a little-endian machine", archive.path_));
    }
  }
  return archive;
}

Result<ZipEntry> TorchArchive::open_entry(const std::string& name) const {
  return zip_.entry(stem_ + name, fmt::format("{}: entry '{}'", path_, name));
}

Result<PickleDocument> TorchArchive::document() const {
  EVENKEEL_TRY(entry, open_entry("data.pkl"));
  if (entry.size() > kPickleBytesMax) {
    return invalid_input(fmt::format("{}: data.pkl has {} bytes; at most {} are accepted: dump more often", path_,
                                     entry.size(), kPickleBytesMax));
  }
  std::vector<std::byte> bytes(entry.size());
  EVENKEEL_TRY_STATUS(entry.read(bytes));
  auto document = parse_pickle(bytes);
  if (!document) return invalid_input(fmt::format("{}: data.pkl {}", path_, document.error().message));
  return document;
}

Result<TensorData> TorchArchive::read(const StoredTensor& tensor, const std::string& where) {
  const std::int64_t count = tensor.size.empty() ? 0 : tensor.size[0];
  return rows(tensor, 0, static_cast<std::size_t>(count), where);
}

Result<TensorData> TorchArchive::rows(const StoredTensor& tensor, std::size_t first, std::size_t count,
                                      const std::string& where) {
  if (tensor.size.empty()) return invalid_input(fmt::format("{} is a single number; give a table", where));
  TensorData data;
  data.type_ = tensor.storage.type;
  data.size_.assign(tensor.size.begin(), tensor.size.end());
  data.stride_.assign(tensor.stride.begin(), tensor.stride.end());
  const auto whole = extent_of(tensor.size, tensor.stride);
  if (whole && whole->elements == 0) return data;
  const std::string entry = fmt::format("data/{}", tensor.storage.key);
  if (!zip_.has(stem_ + entry))
    return invalid_input(
        fmt::format("{} refers to entry {}, which is missing; record or copy it again", where, printable(entry)));
  if (!storage_ || storage_->key != tensor.storage.key) {
    EVENKEEL_TRY(opened, open_entry(entry));
    storage_ = Storage{tensor.storage.key, std::move(opened)};
  }
  EVENKEEL_TRY_STATUS(check_extent(tensor, whole, storage_->entry.size(), where));
  std::vector<std::int64_t> size = tensor.size;
  size[0] = static_cast<std::int64_t>(count);
  data.size_[0] = count;
  const auto part = extent_of(size, tensor.stride);
  if (part->elements == 0) return data;
  const std::uint64_t item = item_bytes(data.type_);
  const std::uint64_t start =
      static_cast<std::uint64_t>(tensor.offset) + first * static_cast<std::uint64_t>(tensor.stride[0]);
  EVENKEEL_TRY(bytes, bytes_of(tensor.storage, start * item, (part->span + 1) * item, where));
  data.bytes_ = std::move(bytes);
  return data;
}

Result<std::vector<std::byte>> TorchArchive::bytes_of(const StorageReference& storage, std::uint64_t first,
                                                      std::uint64_t count, const std::string& where) {
  if (count > kReadBytesMax)
    return invalid_input(
        fmt::format("{} lies over {} bytes; at most {} are read at once: dump more often, or save it "
                    "with contiguous()",
                    where, count, kReadBytesMax));
  if (storage_->entry.position() > first) {
    EVENKEEL_TRY(opened, open_entry(fmt::format("data/{}", storage.key)));
    storage_ = Storage{storage.key, std::move(opened)};
  }
  EVENKEEL_TRY_STATUS(storage_->entry.skip(first - storage_->entry.position()));
  std::vector<std::byte> bytes(count);
  EVENKEEL_TRY_STATUS(storage_->entry.read(bytes));
  return bytes;
}

Result<TorchContent> torch_content(const std::filesystem::path& path) {
  EVENKEEL_TRY(zip, ZipArchive::open(path, kRemedy));
  for (const std::string& name : zip.names()) {
    if (!name.ends_with(kPickleSuffix)) continue;
    EVENKEEL_TRY(entry, zip.entry(name, fmt::format("{}: entry '{}'", path.string(), printable(name))));
    // What a pickle of protocol 2 starts with where nothing is around the tensor.
    constexpr std::string_view kTensor =
        "\x80\x02"
        "ctorch._utils\n_rebuild_tensor";
    std::array<char, kTensor.size()> head{};
    if (entry.size() >= head.size()) EVENKEEL_TRY_STATUS(entry.read(std::as_writable_bytes(std::span(head))));
    return std::string_view(head.data(), head.size()) == kTensor ? TorchContent::kTensor : TorchContent::kOther;
  }
  return TorchContent::kNoTorch;
}

}  // namespace evenkeel
