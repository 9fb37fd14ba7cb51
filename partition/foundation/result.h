#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace evenkeel {

/// What kind of failure an Error is. Programs map it to an exit code (docs/reference/cli.md).
enum class ErrorCode {
  kFailure,       ///< The environment failed: a file cannot be written, a peer is gone.
  kInvalidInput,  ///< Usage or input that cannot be read as what it claims to be.
  kInfeasible,    ///< Valid input for which no placement exists.
  kTimeLimit,     ///< The time given was not enough to find a placement.
};

/// What a program that fails with this code exits with (docs/reference/cli.md).
[[nodiscard]] constexpr int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kFailure:
      return 1;
    case ErrorCode::kInvalidInput:
      return 2;
    case ErrorCode::kInfeasible:
      return 3;
    case ErrorCode::kTimeLimit:
      return 4;
  }
  return 1;
}

/// A failure the caller can act on. The message is one line that names the file, the field, the value seen and what
/// would be accepted.
struct Error {
  ErrorCode code = ErrorCode::kFailure;
  std::string message;
  /// Options that would change it, such as "holdout". A command line adds the flags that set them
  /// (pipeline/flags/field_flags.h).
  std::vector<std::string> fields = {};

  /// The same about something that the message does not name itself.
  [[nodiscard]] Error about(const std::string& what) const { return {code, what + ": " + message, fields}; }
};

/// Value or Error; member names are those of std::expected, which replaces it with C++23.
template <class T>
using Result = tl::expected<T, Error>;

/// Success without a value, or an Error.
using Status = Result<void>;

/// A message without control characters: what it quotes from a file may hold line ends and terminal codes.
[[nodiscard]] inline std::string one_line(std::string message) {
  for (char& character : message) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7F) character = '?';
  }
  return message;
}

[[nodiscard]] inline tl::unexpected<Error> failure(std::string message, std::vector<std::string> fields = {}) {
  return tl::unexpected(Error{ErrorCode::kFailure, one_line(std::move(message)), std::move(fields)});
}

[[nodiscard]] inline tl::unexpected<Error> invalid_input(std::string message, std::vector<std::string> fields = {}) {
  return tl::unexpected(Error{ErrorCode::kInvalidInput, one_line(std::move(message)), std::move(fields)});
}

[[nodiscard]] inline tl::unexpected<Error> infeasible(std::string message) {
  return tl::unexpected(Error{ErrorCode::kInfeasible, one_line(std::move(message))});
}

[[nodiscard]] inline tl::unexpected<Error> time_limit(std::string message) {
  return tl::unexpected(Error{ErrorCode::kTimeLimit, one_line(std::move(message))});
}

}  // namespace evenkeel

/// Evaluates `expression` (a Result), returns its error from the enclosing function, or binds its value to `name`.
#define EVENKEEL_TRY(name, expression)                                             \
  auto name##_or_error = (expression);                                             \
  if (!name##_or_error) return tl::unexpected(std::move(name##_or_error).error()); \
  auto& name = *name##_or_error

/// As EVENKEEL_TRY, for a Status.
#define EVENKEEL_TRY_STATUS(expression)                                             \
  do {                                                                              \
    if (auto status = (expression); !status) return tl::unexpected(status.error()); \
  } while (false)
