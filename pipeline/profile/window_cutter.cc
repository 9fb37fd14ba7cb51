#include "pipeline/profile/window_cutter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace evenkeel {
namespace {

constexpr double kWindowNumberMax = 1e9;

}  // namespace

void WindowCutter::begin(const std::string& path) {
  path_ = path;
  first_ = beyond_;
}

std::uint32_t WindowCutter::next() {
  if (filled_ >= size_) {
    ++present_;
    filled_ = 0;
  }
  return present_;
}

Result<std::uint32_t> WindowCutter::by_seconds(std::optional<double> seconds) {
  if (!seconds) {
    return invalid_input(
        fmt::format("{}: it does not say when sequences were recorded; cut it by tokens or sequences", path_),
        {"window_tokens", "window_sequences"});
  }
  if (!first_seconds_) first_seconds_ = seconds;
  const double number = std::floor((*seconds - *first_seconds_) / static_cast<double>(size_));
  if (!(number >= 0 && number <= kWindowNumberMax)) {
    return invalid_input(
        fmt::format("{}: a sequence is of second {} but the first of {}; give recordings in the order of time", path_,
                    *seconds, *first_seconds_));
  }
  return static_cast<std::uint32_t>(number);
}

Result<std::uint32_t> WindowCutter::sequence(const SequenceLabel& label) {
  switch (unit_) {
    case WindowUnit::kRecorded: {
      const std::uint32_t number = first_ + label.window.value_or(0);
      if (label.window) beyond_ = std::max(beyond_, number + 1);
      return number;
    }
    case WindowUnit::kTokens:
      return next();
    case WindowUnit::kSequences: {
      const std::uint32_t number = next();
      ++filled_;
      return number;
    }
    case WindowUnit::kSeconds:
      return by_seconds(label.seconds);
  }
  return 0U;
}

Result<std::uint32_t> WindowCutter::loads(std::uint32_t index) {
  if (unit_ == WindowUnit::kTokens || unit_ == WindowUnit::kSeconds) {
    return invalid_input(fmt::format("{}: it holds windows of loads, which cannot be cut by tokens or time; merge so "
                                     "many of them into one",
                                     path_),
                         {"window_sequences"});
  }
  return sequence({index, {}, {}});
}

}  // namespace evenkeel
