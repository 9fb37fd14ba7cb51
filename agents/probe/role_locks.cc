#include "agents/probe/role_locks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <mutex>
#include <string>
#include <vector>

namespace evenkeel::probe {

struct RoleLocks::Descriptor {
  int number = -1;
};

namespace {

struct flock byte_of(std::int64_t role, short kind) {
  struct flock lock {};
  lock.l_type = kind;
  lock.l_whence = SEEK_SET;
  lock.l_start = role;
  lock.l_len = 1;
  return lock;
}

/// Every descriptor of this process that may hold a lock: a forked child has a copy of each, and the lock would last as
/// long as the copy.
class Held {
 public:
  /// Never destroyed: a handler may run while the process ends.
  static Held& all() {
    static Held* const held = new Held;
    return *held;
  }
  // Both with the mutex held: a child that was forked in between would keep a copy that nobody closes.
  void open_file(int* descriptor, const std::string& path) {
    const std::lock_guard guard(mutex_);
    descriptors_.push_back(descriptor);
    *descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  }
  void close_file(int* descriptor) {
    const std::lock_guard guard(mutex_);
    std::erase(descriptors_, descriptor);
    if (*descriptor >= 0) close(*descriptor);
  }

 private:
  // Held over the fork, so that the child finds the list whole and its own.
  Held() {
    static_cast<void>(pthread_atfork([] { all().mutex_.lock(); }, [] { all().mutex_.unlock(); }, close_copies));
  }
  static void close_copies() {
    for (int* const descriptor : all().descriptors_) {
      if (*descriptor >= 0) close(*descriptor);
      *descriptor = -1;
    }
    all().mutex_.unlock();
  }

  std::mutex mutex_;
  std::vector<int*> descriptors_;
};

}  // namespace

void RoleLocks::Close::operator()(Descriptor* descriptor) const {
  Held::all().close_file(&descriptor->number);
  delete descriptor;
}

// Opened anew: a lock of an open file description lasts as long as any map that was made of it, and forked children
// have the maps too.
RoleLocks::RoleLocks(int descriptor) : descriptor_(new Descriptor) {
  Held::all().open_file(&descriptor_->number, fmt::format("/proc/self/fd/{}", descriptor));
}

bool RoleLocks::is_open() const { return descriptor_->number >= 0; }

bool RoleLocks::take(std::int64_t role) const {
  struct flock lock = byte_of(role, F_WRLCK);
  return fcntl(descriptor_->number, F_OFD_SETLK, &lock) == 0;
}

void RoleLocks::leave(std::int64_t role) const {
  struct flock lock = byte_of(role, F_UNLCK);
  static_cast<void>(fcntl(descriptor_->number, F_OFD_SETLK, &lock));
}

bool RoleLocks::is_taken(std::int64_t role) const {
  struct flock lock = byte_of(role, F_WRLCK);
  return fcntl(descriptor_->number, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace evenkeel::probe
