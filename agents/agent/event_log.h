#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "agents/wire/note.h"
#include "partition/foundation/result.h"

namespace evenkeel::agent {

/// Notes as JSON lines for programs to follow: {"event":..,"elapsed_ms":..,"worker":.., fields..}, each written out at
/// once. Not thread-safe.
class EventLog {
 public:
  /// Appends to the file. Fails with kInvalidInput where it cannot be written.
  [[nodiscard]] static Result<EventLog> open(const std::filesystem::path& path);

  void write(const std::string& worker, const wire::Note& note);

 private:
  explicit EventLog(std::ofstream file) : file_(std::move(file)) {}

  std::ofstream file_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace evenkeel::agent
