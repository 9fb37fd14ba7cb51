#include "pipeline/cli/standard_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace evenkeel {

StandardInput::StandardInput(StandardInput&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

StandardInput::~StandardInput() {
  if (file_ >= 0) ::close(file_);
}

Result<StandardInput> StandardInput::copy() {
  std::error_code error;
  const auto folder = std::filesystem::temp_directory_path(error);
  StandardInput input(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const auto no_room = [&] {
    return failure(fmt::format("standard input: it cannot be kept in {} ({}); name another folder in TMPDIR",
                               folder.string(), std::strerror(errno)));
  };
  if (error || input.file_ < 0) return no_room();
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t bytes = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return failure(fmt::format("standard input: it cannot be read ({})", std::strerror(errno)));
    if (bytes == 0) return input;
    for (ssize_t done = 0; done < bytes;) {
      const ssize_t written = ::write(input.file_, buffer.data() + done, static_cast<std::size_t>(bytes - done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return no_room();
      done += written;
    }
  }
}

std::filesystem::path StandardInput::path() const { return fmt::format("/proc/self/fd/{}", file_); }

std::string StandardInput::renamed(std::string message) const {
  const std::string name = path().string();
  for (std::size_t at = message.find(name); at != std::string::npos; at = message.find(name)) {
    message.replace(at, name.size(), "standard input");
  }
  return message;
}

}  // namespace evenkeel
