#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Prints what a user should know of a result that is good, a line on standard error after "note: ".
void print_note(const std::string& text);

/// The same of several, each with the flags of its fields.
void print_notes(const CLI::App& program, const std::vector<Note>& notes);

}  // namespace evenkeel
