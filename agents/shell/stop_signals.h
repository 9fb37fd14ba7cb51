#pragma once

#include <optional>

namespace evenkeel::shell {

/// Holds SIGTERM, SIGINT and SIGHUP back from the process, so that they are read between two steps of a loop and never
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
  /// Whether SIGHUP has come since the last call: settings are to be read again.
  [[nodiscard]] bool take_reload();

 private:
  void read_signals();

  int descriptor_;
  std::optional<int> exit_code_;
  bool is_reload_wanted_ = false;
};

}  // namespace evenkeel::shell
