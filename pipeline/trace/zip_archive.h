#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// One entry of an open archive, read front to back in bounded memory. Its archive must outlive it.
class ZipEntry {
 public:
  /// Bytes of the entry, uncompressed, as the archive declares them.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Bytes read so far.
  [[nodiscard]] std::uint64_t position() const { return position_; }
  /// Fills `out` with the next bytes; the last ones are handed on after the entry's checksum has been held against what
  /// was read. Fails with kInvalidInput where the archive is cut or damaged.
  [[nodiscard]] Status read(std::span<std::byte> out);
  /// Reads past the next `bytes` bytes. Fails as read() does.
  [[nodiscard]] Status skip(std::uint64_t bytes);

 private:
  friend class ZipArchive;
  struct File;
  struct FileDeleter {
    void operator()(File* file) const;
  };
  ZipEntry(std::unique_ptr<File, FileDeleter> file, std::uint64_t size, std::string label);

  std::unique_ptr<File, FileDeleter> file_;
  std::uint64_t size_;
  std::uint64_t position_ = 0;
  std::string label_;
};

/// A zip archive (zip64 too) open for reading; with the writer of NPZ files the only place that knows libzip. Not
/// thread-safe.
class ZipArchive {
 public:
  /// Fails with kInvalidInput where the file is no whole zip archive; `remedy` ends the message.
  [[nodiscard]] static Result<ZipArchive> open(const std::filesystem::path& path, std::string_view remedy);

  /// Names of all entries, in the archive's order.
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] bool has(const std::string& entry) const;
  /// Opens an entry that has() says is there; `label` names file and entry in messages. Fails with kInvalidInput, also
  /// for an entry that would swell out of all proportion (above 256 MiB and 200 times its compressed size).
  [[nodiscard]] Result<ZipEntry> entry(const std::string& name, std::string label) const;

 private:
  struct Zip;
  struct ZipDeleter {
    void operator()(Zip* zip) const;
  };
  ZipArchive(std::unique_ptr<Zip, ZipDeleter> zip, std::uint64_t file_bytes);

  std::unique_ptr<Zip, ZipDeleter> zip_;
  std::uint64_t file_bytes_;
};

}  // namespace evenkeel
