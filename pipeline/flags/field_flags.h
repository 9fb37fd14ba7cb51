#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace evenkeel {

/// A message about fields of options, and after it the flags that set them: "drift is 2; give a share from 0 to 1
/// (--drift)". The flags are those of the command that was chosen, or of the program where it has no commands. Where
/// that has none of a field, a command beside it is named that does: "(evenkeel profile --window-sequences)". Fields
/// without any flag add nothing.
[[nodiscard]] std::string with_flags(const CLI::App& program, std::string message,
                                     const std::vector<std::string>& fields);

}  // namespace evenkeel
