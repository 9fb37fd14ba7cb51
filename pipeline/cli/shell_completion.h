#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace evenkeel {

/// Scripts that complete the program's commands, options and their fixed values; every other word is a file. Pure.
[[nodiscard]] std::string bash_completion(const CLI::App& program);
[[nodiscard]] std::string zsh_completion(const CLI::App& program);
[[nodiscard]] std::string fish_completion(const CLI::App& program);

}  // namespace evenkeel
