#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "partition/foundation/result.h"

namespace evenkeel::rebalancer {

/// Adds keygen, backup and restore, each of which leaves in `chosen` what it does.
void add_state_commands(CLI::App& program, std::function<Status()>& chosen);

}  // namespace evenkeel::rebalancer
