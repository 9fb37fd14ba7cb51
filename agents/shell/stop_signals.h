#pragma once

#include <optional>

namespace evenkeel::shell {

/// Holds SIGTERM and SIGINT back from the process, so that they are read between two steps of a loop and never
/// interrupt one. Make it first in main, before any thread: threads inherit the mask (METIS takes over SIGTERM where it
/// is not blocked).
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The exit code that the signal which has come asks for, 0 for SIGTERM and 130 for SIGINT, or none. Never blocks.
  [[nodiscard]] std::optional<int> exit_code();

 private:
  int descriptor_;
};

}  // namespace evenkeel::shell
