#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/trace/zip_archive.h"

namespace evenkeel {

/// Header of a NumPy array (format versions 1 to 3,
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
struct NpyHeader {
  /// 'i' signed, 'u' unsigned, 'f' float, 'b' bool, 'U' UCS-4 text, 'S' bytes.
  char kind;
  /// Bytes of one element; of 'U' arrays four times the characters.
  std::size_t item_bytes;
  std::vector<std::size_t> shape;

  [[nodiscard]] std::size_t elements() const;
  [[nodiscard]] bool is_integer() const { return kind == 'i' || kind == 'u'; }
};

/// Parses the header that starts `bytes` (C order, little-endian). Returns it and its length in bytes.
/// Fails with kInvalidInput without naming the file.
[[nodiscard]] Result<std::pair<NpyHeader, std::size_t>> parse_npy_header(std::span<const std::byte> bytes);

/// One array of an open archive, read front to back in bounded memory.
class NpyStream {
 public:
  [[nodiscard]] const NpyHeader& header() const { return header_; }
  /// Fills `out` with the next bytes of the array's data. Fails with kInvalidInput where the archive is cut or damaged.
  [[nodiscard]] Status read(std::span<std::byte> out) { return data_.read(out); }

 private:
  friend class NpzArchive;
  NpyStream(NpyHeader header, ZipEntry data) : header_(std::move(header)), data_(std::move(data)) {}

  NpyHeader header_;
  ZipEntry data_;
};

/// A NumPy .npz archive open for reading. Not thread-safe.
class NpzArchive {
 public:
  /// Fails with kInvalidInput where the file is not a zip archive.
  [[nodiscard]] static Result<NpzArchive> open(const std::filesystem::path& path);

  [[nodiscard]] bool has(std::string_view array) const;
  /// Opens an array; its declared shape has been held against the entry's size. The archive must outlive the stream.
  [[nodiscard]] Result<NpyStream> array(std::string_view name) const;
  /// A whole array of integers [n] (or a scalar) as int64. Fails with kInvalidInput, also above `elements_max`.
  [[nodiscard]] Result<std::vector<std::int64_t>> integers(std::string_view name, std::size_t elements_max) const;
  /// A whole array of text [n]; only ASCII is accepted.
  [[nodiscard]] Result<std::vector<std::string>> strings(std::string_view name, std::size_t elements_max) const;

 private:
  NpzArchive(ZipArchive zip, std::string path) : zip_(std::move(zip)), path_(std::move(path)) {}

  ZipArchive zip_;
  std::string path_;
};

/// Element `index` of little-endian integer data of a header's kind and size; empty where it does not fit an int64.
[[nodiscard]] std::optional<std::int64_t> integer_at(const NpyHeader& header, std::span<const std::byte> data,
                                                     std::size_t index);

}  // namespace evenkeel
