#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/recordings/recorded_counts.h"
#include "agents/replay/settings.h"
#include "agents/shell/curve_keys.h"
#include "agents/shell/logging.h"
#include "partition/foundation/result.h"

namespace evenkeel::agent {

struct Settings {
  replay::Settings replay;
  std::vector<std::string> attach;
  std::string recordings;
  std::string recordings_state;
  std::string recorded_model;
  std::string rebalancer = "tcp://127.0.0.1:5591";
  std::string subscribe = "tcp://127.0.0.1:5592";
  std::uint32_t report_interval_ms = 1'000;
  std::uint32_t contact_timeout_ms = 3'000;
  std::optional<std::uint64_t> exit_at_epoch;
  std::optional<std::uint32_t> exit_after_ms;
  std::string log_json;
  std::string curve_secret;
  std::string server_key;
  shell::LogSettings log;
  std::string config;
  /// What was said by flag, environment or file, key and text.
  std::map<std::string, std::string> given;
};

void add_options(CLI::App& app, Settings& settings);

/// Takes the settings file in. Fails with kInvalidInput, as all below.
[[nodiscard]] Status complete_settings(CLI::App& app, Settings& settings);
/// Fills in names that were not given. Names the flag, its value and the remedy.
[[nodiscard]] Status validate(Settings& settings);

[[nodiscard]] Result<shell::Curve> read_keys(const Settings& settings);
[[nodiscard]] Result<RecordingOptions> read_recording_options(const Settings& settings);

/// Settings that differ and that a running agent cannot take, by key: all but the log's level and the intervals.
[[nodiscard]] std::vector<std::string> changes_needing_restart(const Settings& running, const Settings& wanted);

}  // namespace evenkeel::agent
