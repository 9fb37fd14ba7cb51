#include "pipeline/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace evenkeel {
namespace {

/// Carriage return and "erase to end of line" (ECMA-48).
constexpr const char* kClearLine = "\r\x1b[K";
constexpr std::chrono::milliseconds kBarInterval{100};
constexpr std::size_t kBarWidth = 40;

}  // namespace

Progress::Progress() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_) fmt::print(stderr, "{}", kClearLine);
}

void Progress::show(std::string_view text) {
  if (!is_terminal_) return;
  fmt::print(stderr, "{}{}", kClearLine, text);
  std::fflush(stderr);
}

void Progress::show_share(std::string_view text, double share) {
  const auto now = std::chrono::steady_clock::now();
  if (!is_terminal_ || now < next_bar_) return;
  next_bar_ = now + kBarInterval;
  const auto filled = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * kBarWidth);
  show(fmt::format("{} [{:#<{}}{:.<{}}] {:3.0f} %", text, "", filled, "", kBarWidth - filled, share * 100));
}

}  // namespace evenkeel
