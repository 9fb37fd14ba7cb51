#pragma once

#include <cstdint>
#include <string>

#include "agents/shell/note_text.h"
#include "agents/wire/note.h"
#include "partition/foundation/result.h"

namespace evenkeel::shell {

struct LogSettings {
  /// "debug", "info", "warning" or "error": the least that is written.
  std::string level = "info";
  /// "text" for people, "json" for one object a line.
  std::string format = "text";

  /// Fails with kInvalidInput, naming flag and value.
  [[nodiscard]] Status validate() const;
};

/// What became of it: refusals, drops and lost contact are warnings, everything else is information.
[[nodiscard]] std::string level_of(const wire::Note& note);

/// `"event":"epoch_ready","epoch":2`: a note as the members of a JSON object. Pure.
[[nodiscard]] std::string json_members(const wire::Note& note);

/// The log of a program, on standard error: one line a note, held to a number a second. One a process; the thread that
/// made it.
class Log {
 public:
  /// `settings` must be valid.
  Log(const std::string& program, const LogSettings& settings);

  void write(const wire::Note& note);
  /// Takes another level; the format stays.
  void set_level(const std::string& level);
  [[nodiscard]] std::uint64_t suppressed() const { return limit_.suppressed(); }

 private:
  bool is_json_;
  LogLimit limit_;
};

}  // namespace evenkeel::shell
