#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// The keys that a settings file of a program may have: its options that the environment may set, with underscores
/// (min_tokens), but for the one that names the file itself.
[[nodiscard]] std::vector<std::string> setting_keys(const CLI::App& program);

/// Gives every option of a parsed command line that neither a flag nor the environment has set the file's value, if it
/// has one. Fails with kInvalidInput, naming file and key: an unknown key, with the nearest; a value of the wrong kind.
[[nodiscard]] Status apply_settings_file(CLI::App& program, const std::filesystem::path& path);

/// What was given of these settings, by flag, environment or file: key and text. After apply_settings_file().
[[nodiscard]] std::map<std::string, std::string> given_settings(const CLI::App& program);

/// Keys whose value differs and that a running program does not take, in order.
[[nodiscard]] std::vector<std::string> changed_settings(const std::map<std::string, std::string>& running,
                                                        const std::map<std::string, std::string>& wanted,
                                                        std::span<const std::string_view> reloadable);

}  // namespace evenkeel
