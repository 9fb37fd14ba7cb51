#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/model/result.h"

namespace evenkeel {

/// Fills a buffer with the next bytes of an array; returns how many, 0 at the end.
using ByteSource = std::function<std::size_t(std::span<std::byte> out)>;

/// Writes a NumPy .npz archive (deflated), front to back in bounded memory. Nothing is at `path` before finish().
class NpzWriter {
 public:
  explicit NpzWriter(std::filesystem::path path);
  ~NpzWriter();
  NpzWriter(const NpzWriter&) = delete;
  NpzWriter& operator=(const NpzWriter&) = delete;

  /// Adds an array; `dtype` as NumPy writes it ("<u2", "|S8"). The bytes are copied.
  void add(std::string_view name, std::string_view dtype, const std::vector<std::size_t>& shape,
           std::span<const std::byte> data);
  /// Adds an array whose bytes are asked for, in order and once, while finish() runs.
  void add(std::string_view name, std::string_view dtype, const std::vector<std::size_t>& shape, ByteSource source);
  /// Writes the archive beside `path` and renames it. Fails with kFailure, leaving what was there.
  [[nodiscard]] Status finish();

 private:
  struct Array;

  std::filesystem::path path_;
  std::vector<Array> arrays_;
};

}  // namespace evenkeel
