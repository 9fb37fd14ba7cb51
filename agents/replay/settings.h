#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "partition/foundation/result.h"

namespace evenkeel::replay {

/// How a stand-in worker plays a trace. `evenkeel-agent --replay` and the worker it starts read the same command line.
struct Settings {
  std::string trace;
  std::optional<std::size_t> experts;
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  std::string name;
  std::string model = "default";
  /// Name of the segment; empty: <model>.<name>.
  std::string probe;
  double tokens_per_second = 20'000;
  std::uint64_t passes = 0;
  std::uint64_t steps_per_window = 1'000;
  std::uint32_t load_ms = 0;
  std::uint32_t spare_buffers = 0;
  std::uint32_t paths_one_in = 0;
  std::string rendezvous;
  std::uint32_t barrier_timeout_ms = 10'000;
  std::uint32_t decision_wait_ms = 2'000;
  std::uint32_t orphan_timeout_ms = 60'000;
  std::string map_log;
};

void add_options(CLI::App& app, Settings& settings);

/// Fills in names that were not given. Fails with kInvalidInput, naming the flag, its value and the remedy.
[[nodiscard]] Status complete(Settings& settings);

}  // namespace evenkeel::replay
