#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// Fills a whole buffer with the next bytes of an array.
using ByteSource = std::function<void(std::span<std::byte> out)>;

/// Writes a NumPy .npz archive (deflated), front to back in bounded memory. Nothing is at `path` before finish().
class NpzWriter {
 public:
  explicit NpzWriter(std::filesystem::path path) : path_(std::move(path)) {}

  /// Adds an array; `dtype` as NumPy writes it ("<u2", "|S8"). The bytes are copied.
  void add(std::string_view name, std::string_view dtype, const std::vector<std::size_t>& shape,
           std::span<const std::byte> data);
  /// Adds an array whose bytes are asked for, in order and once, while finish() runs.
  void add(std::string_view name, std::string_view dtype, const std::vector<std::size_t>& shape, ByteSource source);
  /// Writes the archive (OutputFile). Fails with kFailure, leaving what was there.
  [[nodiscard]] Status finish();

 private:
  struct Array {
    std::string name;
    std::string header;
    std::size_t data_bytes;
    ByteSource source;
  };

  std::filesystem::path path_;
  std::vector<Array> arrays_;
};

}  // namespace evenkeel
