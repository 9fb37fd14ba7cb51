#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/trace/pickle.h"
#include "pipeline/trace/zip_archive.h"

namespace evenkeel {

/// Where an archive keeps a tensor. Nothing of it has been held against the archive.
struct StoredTensor {
  StorageReference storage;
  /// In elements.
  std::int64_t offset = 0;
  std::vector<std::int64_t> size;
  std::vector<std::int64_t> stride;
};

/// Elements of a tensor.
class TensorData {
 public:
  [[nodiscard]] const std::vector<std::size_t>& size() const { return size_; }
  /// Fills `out` with the last dimension at the given indices of the others. Returns the index of the first element
  /// that is no whole number from -2^53 to 2^53 (a fraction, NaN), none if all are.
  [[nodiscard]] std::optional<std::size_t> row(std::span<const std::size_t> indices, std::span<std::int64_t> out) const;
  /// An element as messages show it.
  [[nodiscard]] std::string text(std::span<const std::size_t> indices) const;

 private:
  friend class TorchArchive;
  [[nodiscard]] std::size_t element(std::span<const std::size_t> indices) const;

  StorageType type_{};
  std::vector<std::size_t> size_;
  std::vector<std::size_t> stride_;
  /// From the tensor's first element to its last.
  std::vector<std::byte> bytes_;
};

/// A file that torch.save wrote: a zip archive of a pickle and the raw storages of its tensors
/// (https://pytorch.org/docs/stable/notes/serialization.html). Needs no PyTorch and runs nothing. Not thread-safe.
class TorchArchive {
 public:
  /// Fails with kInvalidInput.
  [[nodiscard]] static Result<TorchArchive> open(const std::filesystem::path& path);

  /// Reads what the file holds, tensors as references. Fails with kInvalidInput.
  [[nodiscard]] Result<PickleDocument> document() const;
  /// Reads entries [first, first + count) of a tensor's first dimension; all of the tensor is held against its storage.
  /// `where` names file and field in messages. Entries that are asked for in the storage's order are read in one go; of
  /// the storage no more than these is in memory. Fails with kInvalidInput.
  [[nodiscard]] Result<TensorData> rows(const StoredTensor& tensor, std::size_t first, std::size_t count,
                                        const std::string& where);
  /// Reads a whole tensor.
  [[nodiscard]] Result<TensorData> read(const StoredTensor& tensor, const std::string& where);

 private:
  /// The storage that was read last, at where its reading stopped.
  struct Storage {
    std::string key;
    ZipEntry entry;
  };
  TorchArchive(ZipArchive zip, std::string path, std::string stem);

  [[nodiscard]] Result<ZipEntry> open_entry(const std::string& name) const;
  [[nodiscard]] Result<std::vector<std::byte>> bytes_of(const StorageReference& storage, std::uint64_t first,
                                                        std::uint64_t count, const std::string& where);

  ZipArchive zip_;
  std::string path_;
  /// Folder of all entries, with its slash.
  std::string stem_;
  std::optional<Storage> storage_;
};

/// What a zip archive holds: nothing of torch.save, as an NPZ archive, a tensor by itself, or anything else.
enum class TorchContent { kNoTorch, kTensor, kOther };
/// Looks at names and at the first bytes of the pickle. Fails with kInvalidInput where it is no whole zip archive.
[[nodiscard]] Result<TorchContent> torch_content(const std::filesystem::path& path);

}  // namespace evenkeel
