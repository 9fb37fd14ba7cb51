#include "pipeline/report/npz_writer.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>

#include "partition/foundation/check.h"
#include "pipeline/report/output_file.h"

namespace evenkeel {
namespace {

/// Routing ids hold little to squeeze: higher levels take three times as long for 2 % less.
constexpr zip_uint32_t kDeflateLevel = 1;

/// Bytes of one element of a dtype such as "<u2" or "|S8".
std::size_t item_bytes(std::string_view dtype) {
  std::size_t number = 0;
  std::from_chars(dtype.data() + 2, dtype.data() + dtype.size(), number);
  return dtype[1] == 'U' ? number * 4 : number;
}

/// Header of format version 1, padded to 64 bytes as NumPy does.
std::string npy_header(std::string_view dtype, const std::vector<std::size_t>& shape) {
  std::string dimensions;
  for (const std::size_t dimension : shape) dimensions += fmt::format("{}, ", dimension);
  if (shape.size() > 1) dimensions.resize(dimensions.size() - 2);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", dtype, dimensions);
  while ((10 + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  const auto length = static_cast<std::uint16_t>(text.size());
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(length & 0xFF) + static_cast<char>(length >> 8) + text;
}

/// An array as libzip reads it: header, then data.
struct Entry {
  const std::string* header;
  std::size_t data_bytes;
  const ByteSource* source;
  std::size_t read = 0;
};

zip_int64_t read_entry(Entry& entry, std::span<std::byte> out) {
  const std::size_t total = entry.header->size() + entry.data_bytes;
  if (entry.read < entry.header->size()) {
    const std::size_t bytes = std::min(out.size(), entry.header->size() - entry.read);
    std::memcpy(out.data(), entry.header->data() + entry.read, bytes);
    entry.read += bytes;
    return static_cast<zip_int64_t>(bytes);
  }
  const std::size_t bytes = std::min(out.size(), total - entry.read);
  if (bytes > 0) (*entry.source)(out.first(bytes));
  entry.read += bytes;
  return static_cast<zip_int64_t>(bytes);
}

zip_int64_t entry_callback(void* state, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  auto& entry = *static_cast<Entry*>(state);
  switch (command) {
    case ZIP_SOURCE_SUPPORTS:
      return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
                                            ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, -1);
    case ZIP_SOURCE_STAT: {
      auto* const stat = static_cast<zip_stat_t*>(data);
      zip_stat_init(stat);
      stat->valid = ZIP_STAT_SIZE;
      stat->size = entry.header->size() + entry.data_bytes;
      return sizeof(zip_stat_t);
    }
    case ZIP_SOURCE_READ:
      return read_entry(entry, {static_cast<std::byte*>(data), length});
    case ZIP_SOURCE_ERROR:
      return 2 * sizeof(int);
    default:
      return 0;
  }
}

/// The archive as libzip writes it: into the output's temporary file.
struct Target {
  OutputFile* file;
  std::size_t offset = 0;
  std::size_t end = 0;
  Status status;
};

zip_int64_t target_callback(void* state, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  auto& target = *static_cast<Target*>(state);
  switch (command) {
    case ZIP_SOURCE_SUPPORTS:
      return zip_source_make_command_bitmap(
          ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_COMMIT_WRITE,
          ZIP_SOURCE_ROLLBACK_WRITE, ZIP_SOURCE_WRITE, ZIP_SOURCE_SEEK_WRITE, ZIP_SOURCE_TELL_WRITE, ZIP_SOURCE_REMOVE,
          ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, -1);
    case ZIP_SOURCE_STAT: {
      auto* const stat = static_cast<zip_stat_t*>(data);
      zip_stat_init(stat);
      stat->valid = ZIP_STAT_SIZE;
      stat->size = 0;
      return sizeof(zip_stat_t);
    }
    case ZIP_SOURCE_WRITE: {
      target.status = target.file->write_at(target.offset, {static_cast<const std::byte*>(data), length});
      if (!target.status) return -1;
      target.offset += length;
      target.end = std::max(target.end, target.offset);
      return static_cast<zip_int64_t>(length);
    }
    case ZIP_SOURCE_SEEK_WRITE: {
      const auto offset = zip_source_seek_compute_offset(target.offset, target.end, data, length, nullptr);
      if (offset < 0) return -1;
      target.offset = static_cast<std::size_t>(offset);
      return 0;
    }
    case ZIP_SOURCE_TELL_WRITE:
      return static_cast<zip_int64_t>(target.offset);
    case ZIP_SOURCE_ERROR: {
      const std::array<int, 2> codes{target.status ? ZIP_ER_OK : ZIP_ER_WRITE, 0};
      std::memcpy(data, codes.data(), sizeof codes);
      return sizeof codes;
    }
    default:
      return 0;
  }
}

Status archive_failure(const std::filesystem::path& path, const Target& target, const char* reason) {
  if (!target.status) return target.status;
  return failure(fmt::format("{}: it cannot be written ({})", path.string(), reason));
}

}  // namespace

void NpzWriter::add(std::string_view name, std::string_view dtype, const std::vector<std::size_t>& shape,
                    std::span<const std::byte> data) {
  add(name, dtype, shape,
      [bytes = std::vector(data.begin(), data.end()), at = std::size_t{0}](std::span<std::byte> out) mutable {
        std::ranges::copy(std::span(bytes).subspan(at, out.size()), out.begin());
        at += out.size();
      });
}

void NpzWriter::add(std::string_view name, std::string_view dtype, const std::vector<std::size_t>& shape,
                    ByteSource source) {
  std::size_t bytes = item_bytes(dtype);
  for (const std::size_t dimension : shape) bytes *= dimension;
  arrays_.push_back({fmt::format("{}.npy", name), npy_header(dtype, shape), bytes, std::move(source)});
}

Status NpzWriter::finish() {
  EVENKEEL_TRY(file, OutputFile::create(path_));
  Target target{&file, 0, 0, {}};
  zip_source_t* const destination = zip_source_function_create(target_callback, &target, nullptr);
  EVENKEEL_CHECK(destination != nullptr, "libzip has memory for a source");
  zip_error_t error;
  zip_error_init(&error);
  zip_t* const archive = zip_open_from_source(destination, ZIP_CREATE | ZIP_TRUNCATE, &error);
  if (archive == nullptr) {
    zip_source_free(destination);
    return archive_failure(path_, target, zip_error_strerror(&error));
  }
  std::vector<Entry> entries;
  entries.reserve(arrays_.size());
  for (const Array& array : arrays_) {
    entries.push_back({&array.header, array.data_bytes, &array.source});
    zip_source_t* const source = zip_source_function(archive, entry_callback, &entries.back());
    const zip_int64_t index = zip_file_add(archive, array.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    EVENKEEL_CHECK(index >= 0, "an array's name is given once");
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_DEFLATE, kDeflateLevel);
    // The same arrays make the same bytes, whenever they are written.
    zip_file_set_dostime(archive, static_cast<zip_uint64_t>(index), 0, (1 << 5) | 1, 0);
  }
  if (zip_close(archive) != 0) {
    const Status status = archive_failure(path_, target, zip_strerror(archive));
    zip_discard(archive);
    return status;
  }
  return file.commit();
}

}  // namespace evenkeel
