#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace evenkeel {

/// The manual page (section 1, man(7) macros) of the program, or of one of its commands. Pure.
[[nodiscard]] std::string manual_page(const CLI::App& program, const CLI::App* command);

}  // namespace evenkeel
