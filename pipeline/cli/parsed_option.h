#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/cli/command_error.h"
#include "pipeline/flags/setting.h"

namespace evenkeel {

/// Adds a setting whose text is parsed as the command line is read. `parse` gets the flag, for its message, and the
/// text; where it fails, a CommandError is thrown.
template <class T, class Parse>
CLI::Option* add_parsed(CLI::App& command, const std::string& flag, T& value, Parse parse, const std::string& help) {
  return command
      .add_option_function<std::string>(
          flag, [&value, flag, parse](const std::string& text) { value = value_or_exit(parse(flag, text)); }, help)
      ->envname(environment_name(command, flag));
}

/// The names that an enum's values have on the command line.
template <class T>
using ValueNames = std::vector<std::pair<std::string, T>>;

template <class T>
[[nodiscard]] std::string name_of(const ValueNames<T>& names, T value) {
  return std::ranges::find(names, value, &std::pair<std::string, T>::second)->first;
}

/// Adds a setting that is one of the names. `names` must outlive the command.
template <class T, class E>
CLI::Option* add_choice(CLI::App& command, const std::string& flag, T& value, const ValueNames<E>& names,
                        const std::string& help) {
  std::vector<std::string> words;
  for (const auto& [word, meaning] : names) words.push_back(word);
  const auto parse = [&names](const std::string&, const std::string& text) -> Result<E> {
    return std::ranges::find(names, text, &std::pair<std::string, E>::first)->second;
  };
  return add_parsed(command, flag, value, parse, help)->check(CLI::IsMember(words));
}

}  // namespace evenkeel
