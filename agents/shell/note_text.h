#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "agents/wire/note.h"

namespace evenkeel::shell {

/// "event=epoch_ready term=1 epoch=2 reason=\"two words\"": one line, whatever a peer put into the values. Pure.
[[nodiscard]] std::string key_values(const wire::Note& note);

/// Holds log lines to a number a second, because peers cause some of them. Pure: time is an argument.
class LogLimit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Whether another line may be written now; counts those that may not.
  [[nodiscard]] bool admits(TimePoint now);
  [[nodiscard]] std::uint64_t suppressed() const { return suppressed_; }

 private:
  std::optional<TimePoint> second_began_;
  std::uint32_t lines_in_second_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace evenkeel::shell
