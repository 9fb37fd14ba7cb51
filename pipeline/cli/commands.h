#pragma once

#include <CLI/CLI.hpp>

namespace evenkeel {

/// Each adds one command to the program: its options, examples and what it runs. Commands throw CommandError.
void add_profile_command(CLI::App& program);
void add_partition_command(CLI::App& program);
void add_compare_command(CLI::App& program);
void add_evaluate_command(CLI::App& program);
void add_convert_command(CLI::App& program);
void add_inspect_command(CLI::App& program);
void add_calibrate_command(CLI::App& program);
void add_synth_command(CLI::App& program);
void add_plan_command(CLI::App& program);
void add_replay_command(CLI::App& program);
void add_completion_command(CLI::App& program);
void add_man_command(CLI::App& program);

}  // namespace evenkeel
