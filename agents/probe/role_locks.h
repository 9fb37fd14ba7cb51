#pragma once

#include <cstdint>
#include <memory>

namespace evenkeel::probe {

/// Locks on single bytes of a file, each of which stands for a role. Whoever holds one holds it as this object, not as
/// the process, and it ends with the process however that ends, though children that it forked live on: they have no
/// part in it. Not thread-safe.
class RoleLocks {
 public:
  /// Of the file behind the descriptor, which stays the caller's. Where the file cannot be opened once more is_open()
  /// is false, errno says why, and nothing can be taken.
  explicit RoleLocks(int descriptor);
  RoleLocks(RoleLocks&&) noexcept = default;
  RoleLocks& operator=(RoleLocks&&) noexcept = default;
  ~RoleLocks() = default;

  /// False too in a child that was forked since.
  [[nodiscard]] bool is_open() const;
  /// False where another holds it.
  [[nodiscard]] bool take(std::int64_t role) const;
  void leave(std::int64_t role) const;
  /// Whether another than this object holds it.
  [[nodiscard]] bool is_taken(std::int64_t role) const;

 private:
  struct Descriptor;
  struct Close {
    void operator()(Descriptor* descriptor) const;
  };
  std::unique_ptr<Descriptor, Close> descriptor_;
};

}  // namespace evenkeel::probe
