#pragma once

#include <chrono>
#include <string_view>

namespace evenkeel {

/// A line on standard error that says what is being done; silent where that is not a terminal.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Replaces the line.
  void show(std::string_view text);
  /// Replaces the line by a bar of how much is done, a share in [0, 1]; at most ten times a second.
  void show_share(std::string_view text, double share);

 private:
  bool is_terminal_;
  std::chrono::steady_clock::time_point next_bar_;
};

}  // namespace evenkeel
