#include "pipeline/report/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>

namespace evenkeel {
namespace {

/// Held while a file beside the output exists.
std::mutex& output_mutex() {
  static std::mutex mutex;
  return mutex;
}

Status write_failure(const std::filesystem::path& path, const std::string& temporary) {
  const int code = errno;
  if (!temporary.empty()) ::unlink(temporary.c_str());
  return failure(
      fmt::format("{}: it cannot be written ({}); check the folder and its space", path.string(), std::strerror(code)));
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

}  // namespace

Status write_output(const std::filesystem::path& path, std::string_view content) {
  if (path == "-") {
    std::fflush(stdout);
    if (!write_all(STDOUT_FILENO, content)) return write_failure(path, "");
    return {};
  }
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    // A device or pipe cannot be replaced by a rename.
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return write_failure(path, "");
    const bool is_written = write_all(file, content);
    ::close(file);
    if (!is_written) return write_failure(path, "");
    return {};
  }
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  if (error)
    return failure(fmt::format("{}: it cannot be written ({}); check the path", path.string(), error.message()));
  const std::lock_guard lock(output_mutex());
  std::string temporary = target.string() + ".XXXXXX";
  const int file = ::mkstemp(temporary.data());
  if (file < 0) return write_failure(path, "");
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(file, 0666 & ~mask);
  const bool is_written = write_all(file, content) && ::fsync(file) == 0;
  if (::close(file) != 0 || !is_written) return write_failure(path, temporary);
  if (::rename(temporary.c_str(), target.c_str()) != 0) return write_failure(path, temporary);
  return {};
}

void exit_between_outputs(int code) {
  output_mutex().lock();
  ::_exit(code);
}

}  // namespace evenkeel
