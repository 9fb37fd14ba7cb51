#pragma once

#include <CLI/CLI.hpp>

namespace evenkeel {

/// Adds status, freeze, unfreeze, trigger and dry-run. Commands throw CommandError.
void add_service_commands(CLI::App& program);

}  // namespace evenkeel
