#include "pipeline/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace evenkeel {
namespace {

/// Carriage return and "erase to end of line" (ECMA-48).
constexpr const char* kClearLine = "\r\x1b[K";

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

}  // namespace evenkeel
