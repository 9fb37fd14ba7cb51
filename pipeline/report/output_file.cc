#include "pipeline/report/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

namespace evenkeel {
namespace {

/// Files beside outputs that are not in their place yet.
struct Unfinished {
  std::mutex mutex;
  std::set<std::string> temporaries;
};

Unfinished& unfinished() {
  static Unfinished all;
  return all;
}

tl::unexpected<Error> write_failure(const std::filesystem::path& path) {
  return failure(fmt::format("{}: it cannot be written ({}); check the folder and its space", path.string(),
                             std::strerror(errno)));
}

bool write_all(int file, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool is_pipe_or_device(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error);
}

Status write_in_place(const std::filesystem::path& path, std::string_view content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return write_failure(path);
  const bool is_written = write_all(file, content);
  ::close(file);
  if (!is_written) return write_failure(path);
  return {};
}

}  // namespace

OutputFile::OutputFile(std::filesystem::path path, std::string target, std::string temporary, int file)
    : path_(std::move(path)), target_(std::move(target)), temporary_(std::move(temporary)), file_(file) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)),
      file_(std::exchange(other.file_, -1)) {}

OutputFile::~OutputFile() {
  if (file_ >= 0) discard();
}

void OutputFile::discard() {
  ::close(std::exchange(file_, -1));
  const std::lock_guard lock(unfinished().mutex);
  ::unlink(temporary_.c_str());
  unfinished().temporaries.erase(temporary_);
}

Result<OutputFile> OutputFile::create(const std::filesystem::path& path) {
  if (path == "-" || is_pipe_or_device(path)) {
    return failure(
        fmt::format("{}: this output cannot go to a pipe, folder or device; give the path of a file", path.string()));
  }
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  if (error)
    return failure(fmt::format("{}: it cannot be written ({}); check the path", path.string(), error.message()));
  std::string temporary = target.string() + ".XXXXXX";
  const std::lock_guard lock(unfinished().mutex);
  const int file = ::mkstemp(temporary.data());
  if (file < 0) return write_failure(path);
  unfinished().temporaries.insert(temporary);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(file, 0666 & ~mask);
  return OutputFile(path, target.string(), std::move(temporary), file);
}

Status OutputFile::write_at(std::size_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t written = ::pwrite(file_, data.data(), data.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return write_failure(path_);
    offset += static_cast<std::size_t>(written);
    data = data.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status OutputFile::commit() {
  if (::fsync(file_) != 0) return write_failure(path_);
  {
    const std::lock_guard lock(unfinished().mutex);
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) return write_failure(path_);
    unfinished().temporaries.erase(temporary_);
  }
  ::close(std::exchange(file_, -1));
  return {};
}

Status write_output(const std::filesystem::path& path, std::string_view content) {
  if (path == "-") {
    std::fflush(stdout);
    if (!write_all(STDOUT_FILENO, content)) return write_failure(path);
    return {};
  }
  if (is_pipe_or_device(path)) return write_in_place(path, content);
  EVENKEEL_TRY(file, OutputFile::create(path));
  EVENKEEL_TRY_STATUS(file.write_at(0, std::as_bytes(std::span(content))));
  return file.commit();
}

Status make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return {};
  return failure(fmt::format("{}: the folder cannot be made ({}); choose another", folder.string(), error.message()),
                 {"out_dir"});
}

void exit_and_remove_outputs(int code) {
  Unfinished& all = unfinished();
  all.mutex.lock();
  for (const std::string& temporary : all.temporaries) ::unlink(temporary.c_str());
  ::_exit(code);
}

}  // namespace evenkeel
