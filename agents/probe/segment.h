#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/probe/role_locks.h"
#include "partition/foundation/result.h"

namespace evenkeel::probe {

/// Bytes of a name: with the prefix a file name well below Linux's 255.
inline constexpr std::size_t kNameMax = 96;

/// A named piece of shared memory, mapped for as long as the object lives. The memory outlives the name and the
/// processes until the last map of it is gone. Roles as RoleLocks says. Not thread-safe.
class Segment {
 public:
  /// What a segment is for; names of two kinds are two names.
  enum class Kind { kProbe, kWeights, kRendezvous };
  /// Processes take roles; those of a rendezvous are numbered from kFirstRank.
  enum Role : std::int64_t { kOwner = 0, kGuest = 1, kFirstRank = 2 };

  /// Makes a segment of zeros, all of whose memory is had, and takes the owner's lock; one of that name whose owner is
  /// dead, complete or not, is removed first. Fails with kInvalidInput where the owner lives, with kFailure where
  /// memory cannot be had.
  [[nodiscard]] static Result<Segment> create(Kind kind, const std::string& name, std::size_t bytes);
  /// Fails with kInvalidInput where there is none.
  [[nodiscard]] static Result<Segment> open(Kind kind, const std::string& name);
  /// As open(), and makes one of zeros where there is none. Takes no role.
  [[nodiscard]] static Result<Segment> open_or_create(Kind kind, const std::string& name, std::size_t bytes);
  /// The file's, by which a segment is known from the next of its name; none where there is no segment.
  [[nodiscard]] static std::optional<std::uint64_t> number(Kind kind, const std::string& name);
  /// Whether the name still stands for this segment.
  [[nodiscard]] bool is_named(Kind kind, const std::string& name) const;
  static void remove(Kind kind, const std::string& name);
  /// Removes the name of this segment, unless its owner lives or another has it now.
  void remove_if_dead(Kind kind, const std::string& name) const;
  /// Names of all segments of this kind on the machine, in order.
  [[nodiscard]] static std::vector<std::string> list(Kind kind);

  /// Takes the role; false where a living process has it.
  [[nodiscard]] bool take(std::int64_t role) const { return locks_.take(role); }
  void leave(std::int64_t role) const { locks_.leave(role); }
  /// Whether a living process other than this has the role.
  [[nodiscard]] bool is_taken(std::int64_t role) const { return locks_.is_taken(role); }

  [[nodiscard]] std::uint64_t* words() const { return static_cast<std::uint64_t*>(region_.get_address()); }
  [[nodiscard]] std::size_t bytes() const { return region_.get_size(); }

 private:
  using Object = boost::interprocess::shared_memory_object;
  explicit Segment(Object object);
  /// Fails with kFailure where it cannot be opened once more.
  [[nodiscard]] static Result<Segment> of(const std::string& name, Object object);
  /// Not mapped yet. Fails as open().
  [[nodiscard]] static Result<Segment> find(Kind kind, const std::string& name);
  /// Gives it its size, has the memory set aside and maps it. Fails with kFailure.
  [[nodiscard]] Status allocate(const std::string& name, std::size_t bytes);
  [[nodiscard]] int descriptor() const;

  Object object_;
  RoleLocks locks_;
  boost::interprocess::mapped_region region_;
};

/// 1 to 96 of A-Z a-z 0-9 . _ -; `what` names the setting in the message.
[[nodiscard]] Status validate_segment_name(std::string_view what, std::string_view name);
/// The name with every other character replaced by '-'.
[[nodiscard]] std::string segment_name(std::string_view text);

}  // namespace evenkeel::probe
