#include "rebalancer/store/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace evenkeel::rebalancer {

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  constexpr auto kWait = std::chrono::seconds(2);
  constexpr auto kRetry = std::chrono::milliseconds(20);
  const std::filesystem::path path = folder / "lock";
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return failure(
        fmt::format("{}: {}; give a folder that can be written as --state", path.string(), std::strerror(errno)));
  }
  FolderLock lock(descriptor);
  const auto deadline = std::chrono::steady_clock::now() + kWait;
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return failure(fmt::format(
          "{} is locked: another rebalancer has this folder; stop that one, or give another --state", path.string()));
    }
    std::this_thread::sleep_for(kRetry);
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace evenkeel::rebalancer
