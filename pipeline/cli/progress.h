#pragma once

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

 private:
  bool is_terminal_;
};

}  // namespace evenkeel
