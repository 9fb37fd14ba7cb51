#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <type_traits>

#include "partition/foundation/stage.h"

namespace evenkeel {

/// Accepts the text of a whole number of 0 or above that 64 bits hold; CLI11 itself lets negative numbers wrap around.
[[nodiscard]] CLI::Validator whole_number();
/// Accepts the text of a finite number.
[[nodiscard]] CLI::Validator finite_number();

/// The variable that may set a flag of `evenkeel` and its commands: EVENKEEL_MIN_TOKENS for --min-tokens.
[[nodiscard]] std::string environment_name(const std::string& flag);
/// The same for any program: EVENKEEL_AGENT_RANK for --rank of evenkeel-agent.
[[nodiscard]] std::string environment_name(const CLI::App& command, const std::string& flag);

template <class T>
struct ValueOf {
  using Type = T;
};
template <class T>
struct ValueOf<std::optional<T>> {
  using Type = T;
};

/// Adds a flag whose number is checked before it is converted.
template <class T>
CLI::Option* add_flag_value(CLI::App& command, const std::string& flag, T& value, const std::string& help) {
  CLI::Option* const option = command.add_option(flag, value, help);
  using Value = typename ValueOf<T>::Type;
  if constexpr (std::is_integral_v<Value>) option->check(whole_number());
  if constexpr (std::is_floating_point_v<Value>) option->check(finite_number());
  return option;
}

/// As add_flag_value(), and the environment may set it too.
template <class T>
CLI::Option* add_setting(CLI::App& command, const std::string& flag, T& value, const std::string& help) {
  return add_flag_value(command, flag, value, help)->envname(environment_name(command, flag));
}

/// A flag without a value that the environment and settings files may set to true or false.
inline CLI::Option* add_switch(CLI::App& command, const std::string& flag, bool& value, const std::string& help) {
  return command.add_flag(flag, value, help)->envname(environment_name(command, flag));
}

/// --stage: only traffic of this stage. `stage` must outlive the command line.
void add_stage_setting(CLI::App& command, std::optional<Stage>& stage);

/// What was wrong with a command line, in one sentence with the nearest word that is known and where help is to be had.
[[nodiscard]] std::string usage_message(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv);

}  // namespace evenkeel
