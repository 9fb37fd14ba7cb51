#pragma once

#include <string>
#include <utility>

#include "partition/foundation/result.h"

namespace evenkeel {

/// Raised by commands and by option callbacks; main() prints the message and exits with the code's number.
struct CommandError {
  Error error;
};

[[noreturn]] inline void refuse(std::string message, std::vector<std::string> fields = {}) {
  throw CommandError{{ErrorCode::kInvalidInput, std::move(message), std::move(fields)}};
}

/// The value of a Result, or a CommandError thrown to main(): commands are the last place that can fail.
template <class T>
T value_or_exit(Result<T> result) {
  if (!result) throw CommandError{std::move(result).error()};
  return *std::move(result);
}

/// The same of a Result whose message does not name what it is about, such as a file.
template <class T>
T value_or_exit(Result<T> result, const std::string& what) {
  if (!result) throw CommandError{result.error().about(what)};
  return *std::move(result);
}

inline void ok_or_exit(const Status& status) {
  if (!status) throw CommandError{status.error()};
}

}  // namespace evenkeel
