#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// A tensor as a safetensors file's header names it.
struct SafeTensor {
  std::string name;
  /// As in the header: "I64", "F32", ...
  std::string dtype;
  std::vector<std::size_t> shape;
  /// Where its data is in the file, in bytes.
  std::uint64_t begin;
  std::uint64_t end;
};

/// A safetensors file open for reading (https://github.com/huggingface/safetensors, "Format"): u64 header length,
/// header in JSON, data. The header is held against the file: sizes fit shapes, and tensors follow each other without
/// overlap or hole up to the end. Not thread-safe.
class SafetensorsFile {
 public:
  /// Fails with kInvalidInput; also for a header above 64 MiB.
  [[nodiscard]] static Result<SafetensorsFile> open(const std::filesystem::path& path);

  /// In the order of their data.
  [[nodiscard]] const std::vector<SafeTensor>& tensors() const { return tensors_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Fills `out` with the file's bytes from `offset` on. Fails with kInvalidInput where the file has become shorter.
  [[nodiscard]] Status read(std::uint64_t offset, std::span<std::byte> out);

 private:
  SafetensorsFile(std::string path, std::ifstream in, std::vector<SafeTensor> tensors)
      : path_(std::move(path)), in_(std::move(in)), tensors_(std::move(tensors)) {}

  std::string path_;
  std::ifstream in_;
  std::vector<SafeTensor> tensors_;
};

}  // namespace evenkeel
