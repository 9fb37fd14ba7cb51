#include "agents/probe/segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace evenkeel::probe {
namespace {

namespace ipc = boost::interprocess;

constexpr std::array<std::string_view, 3> kPrefixes{"evenkeel-probe.", "evenkeel-weights.", "evenkeel-rendezvous."};
// Where Linux keeps POSIX shared memory; Boost has no way to list it.
constexpr const char* kFolder = "/dev/shm";

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
}

std::string_view prefix(Segment::Kind kind) { return kPrefixes[static_cast<std::size_t>(kind)]; }

std::string file_of(Segment::Kind kind, const std::string& name) { return std::string(prefix(kind)) + name; }

ipc::permissions only_this_user() {
  ipc::permissions permissions;
  permissions.set_permissions(0600);
  return permissions;
}

tl::unexpected<Error> no_memory(const std::string& name, std::size_t bytes, const std::string& why) {
  return failure(fmt::format("segment {}: {} bytes of shared memory cannot be had ({}); free some in {}", name, bytes,
                             why, kFolder));
}

}  // namespace

Segment::Segment(Object object) : object_(std::move(object)), locks_(descriptor()) {}

int Segment::descriptor() const {
  return ipc::ipcdetail::file_handle_from_mapping_handle(object_.get_mapping_handle());
}

Result<Segment> Segment::of(const std::string& name, Object object) {
  Segment segment(std::move(object));
  if (segment.locks_.is_open()) return segment;
  return failure(fmt::format("segment {}: it cannot be opened for its locks ({}); allow more open files", name,
                             std::generic_category().message(errno)));
}

Result<Segment> Segment::create(Kind kind, const std::string& name, std::size_t bytes) {
  // Its lock is held until the name is gone, so that of two processes only one removes it.
  if (const auto old = find(kind, name)) {
    if (!old->take(kOwner)) {
      return invalid_input(fmt::format("segment {}: a living process has it; give another name", name));
    }
    // Who held the lock before may have removed it and made another.
    if (old->is_named(kind, name)) remove(kind, name);
  }
  try {
    EVENKEEL_TRY(segment,
                 of(name, Object(ipc::create_only, file_of(kind, name).c_str(), ipc::read_write, only_this_user())));
    // Before the lock is taken, another process may hold it for what a dead one has left, and remove it.
    if (!segment.take(kOwner) || !segment.is_named(kind, name)) {
      return failure(fmt::format("segment {}: another process was quicker", name));
    }
    const Status allocated = segment.allocate(name, bytes);
    if (allocated) return std::move(segment);
    remove(kind, name);
    return tl::unexpected(allocated.error());
  } catch (const ipc::interprocess_exception& error) {
    return no_memory(name, bytes, error.what());
  }
}

Result<Segment> Segment::open_or_create(Kind kind, const std::string& name, std::size_t bytes) {
  try {
    EVENKEEL_TRY(segment,
                 of(name, Object(ipc::open_or_create, file_of(kind, name).c_str(), ipc::read_write, only_this_user())));
    // A second process that makes the same does it again, which changes nothing.
    EVENKEEL_TRY_STATUS(segment.allocate(name, bytes));
    return std::move(segment);
  } catch (const ipc::interprocess_exception& error) {
    return no_memory(name, bytes, error.what());
  }
}

Status Segment::allocate(const std::string& name, std::size_t bytes) {
  try {
    // Boost's truncate() sets a size alone: where no memory is left, a store would end the process (SIGBUS).
    int error = 0;
    do {
      error = posix_fallocate(descriptor(), 0, static_cast<off_t>(bytes));
    } while (error == EINTR);
    if (error != 0) return no_memory(name, bytes, std::generic_category().message(error));
    region_ = ipc::mapped_region(object_, ipc::read_write);
    return {};
  } catch (const ipc::interprocess_exception& error) {
    return no_memory(name, bytes, error.what());
  }
}

bool Segment::is_named(Kind kind, const std::string& name) const {
  struct stat mine {};
  return fstat(descriptor(), &mine) == 0 && number(kind, name) == mine.st_ino;
}

std::optional<std::uint64_t> Segment::number(Kind kind, const std::string& name) {
  struct stat named {};
  const std::filesystem::path path = std::filesystem::path(kFolder) / file_of(kind, name);
  return stat(path.c_str(), &named) == 0 ? std::optional<std::uint64_t>(named.st_ino) : std::nullopt;
}

Result<Segment> Segment::find(Kind kind, const std::string& name) {
  try {
    return of(name, Object(ipc::open_only, file_of(kind, name).c_str(), ipc::read_write));
  } catch (const ipc::interprocess_exception& error) {
    if (error.get_error_code() == ipc::not_found_error) {
      return invalid_input(fmt::format("segment {}: no such segment; start its worker", name));
    }
    return invalid_input(
        fmt::format("segment {}: it cannot be opened ({}); run as the user of its worker", name, error.what()));
  }
}

Result<Segment> Segment::open(Kind kind, const std::string& name) {
  EVENKEEL_TRY(segment, find(kind, name));
  try {
    ipc::offset_t bytes = 0;
    // A segment between creation and allocate() is empty and cannot be mapped.
    if (!segment.object_.get_size(bytes) || bytes < 1) {
      return invalid_input(fmt::format("segment {}: the segment is not complete; start its worker", name));
    }
    segment.region_ = ipc::mapped_region(segment.object_, ipc::read_write);
    return std::move(segment);
  } catch (const ipc::interprocess_exception& error) {
    return failure(fmt::format("segment {}: it cannot be mapped ({}); free memory", name, error.what()));
  }
}

void Segment::remove(Kind kind, const std::string& name) {
  ipc::shared_memory_object::remove(file_of(kind, name).c_str());
}

void Segment::remove_if_dead(Kind kind, const std::string& name) const {
  // As in create(): who holds the owner's lock of the named segment may remove it, and nobody else.
  if (!take(kOwner)) return;
  if (is_named(kind, name)) remove(kind, name);
  leave(kOwner);
}

std::vector<std::string> Segment::list(Kind kind) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, error)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with(prefix(kind))) names.push_back(file.substr(prefix(kind).size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status validate_segment_name(std::string_view what, std::string_view name) {
  if (!name.empty() && name.size() <= kNameMax && std::all_of(name.begin(), name.end(), is_name_character)) return {};
  return invalid_input(
      fmt::format("{} has {} bytes or a character that a segment's name cannot have; give 1 to {} of A-Z a-z 0-9 . _ -",
                  what, name.size(), kNameMax));
}

std::string segment_name(std::string_view text) {
  std::string name(text);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_name_character(c); }, '-');
  return name;
}

}  // namespace evenkeel::probe
