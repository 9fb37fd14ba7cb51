#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "agents/wire/note.h"
#include "partition/model/result.h"

namespace evenkeel::agent {

/// Notes as JSON lines for programs to follow: {"event":..,"elapsed_ms":..,"worker":.., fields..}, each written out at
/// once. Not thread-safe.
class EventLog {
 public:
  /// Appends to the file. Fails with kInvalidInput where it cannot be written.
  [[nodiscard]] static Result<EventLog> open(const std::filesystem::path& path, std::string worker);

  void write(const wire::Note& note);

 private:
  EventLog(std::ofstream file, std::string worker) : file_(std::move(file)), worker_(std::move(worker)) {}

  std::ofstream file_;
  std::string worker_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace evenkeel::agent
