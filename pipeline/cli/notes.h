#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "partition/model/routing_profile.h"
#include "pipeline/engine/engine_map.h"

namespace evenkeel {

/// Prints what a user should know of a result that is good, a line on standard error after "note: ".
void print_note(const std::string& text);

/// The same of several, each with the flags of its fields.
void print_notes(const CLI::App& program, const std::vector<Note>& notes);

/// Says which MoE layers of the traffic have no load, and what becomes of them: they are placed in order, or stay where
/// they are in a running placement.
void note_unloaded_layers(const RoutingProfile& profile, bool has_running);

}  // namespace evenkeel
