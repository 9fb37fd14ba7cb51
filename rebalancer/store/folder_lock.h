#pragma once

#include <filesystem>
#include <utility>

#include "partition/foundation/result.h"

namespace evenkeel::rebalancer {

/// Holds a state folder for one process, for as long as it lives: a lock on its file `lock`, which the kernel gives
/// back when the process ends in any way.
class FolderLock {
 public:
  /// Waits up to two seconds for a predecessor that was asked to stop. Fails with kFailure where another process has
  /// it, or the folder cannot be written.
  [[nodiscard]] static Result<FolderLock> take(const std::filesystem::path& folder);

  FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace evenkeel::rebalancer
