#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/shell/curve_keys.h"
#include "agents/shell/logging.h"
#include "partition/foundation/result.h"
#include "rebalancer/core/core_options.h"
#include "rebalancer/net/authorised_keys.h"
#include "rebalancer/service/plan_settings.h"

namespace evenkeel::rebalancer {

/// What evenkeel-rebalancer can be told by flag, environment (EVENKEEL_REBALANCER_*) and file;
/// docs/reference/rebalancer.md lists it.
struct Settings {
  std::string bind = "tcp://127.0.0.1:5591";
  std::string publish = "tcp://127.0.0.1:5592";
  std::string state;
  /// A cluster file, or the name of a hardware preset; empty: the defaults of Cluster.
  std::string cluster;
  /// Of a file with several; empty: the one it has.
  std::string ep_group;
  /// Absent: the cluster file says it.
  std::optional<std::size_t> gpus;
  std::optional<std::size_t> nodes;
  /// 0: not given.
  std::uint32_t agents = 0;
  /// What is given in the unit of CoreOptions; core_options() completes it.
  CoreOptions core;
  std::uint32_t min_interval_ms = 5'000;
  std::uint32_t prepare_timeout_ms = 30'000;
  std::uint32_t lease_ms = 5'000;
  PlanSettings plan;
  bool dry_run = false;
  /// Empty: control.sock in the state folder.
  std::string control;
  /// Host and port of /metrics, /healthz, /readyz and /status; empty: none.
  std::string http;
  bool http_open = false;
  std::string curve_secret;
  std::string authorized_keys;
  std::uint32_t drain_ms = 10'000;
  shell::LogSettings log;
  bool insecure = false;
  std::string config;

  /// Every setting that was given, whoever gave it, as text by its key.
  std::map<std::string, std::string> given;

  [[nodiscard]] std::string control_endpoint() const {
    return control.empty() ? "ipc://" + state + "/control.sock" : control;
  }
};

/// Adds every option to the program.
void add_settings(CLI::App& program, Settings& settings);

/// Fills in what the settings file gives and notes what was given. After parsing. Fails with kInvalidInput.
[[nodiscard]] Status complete_settings(CLI::App& program, Settings& settings);

/// Fails with kInvalidInput, naming the option, its value and what would be accepted.
[[nodiscard]] Status validate(const Settings& settings);

/// Of every group. Reads what the settings name: cluster, model, profile. With --profile the first placement is solved
/// for, which takes --solve-seconds. Fails with kInvalidInput, or the solver's error.
[[nodiscard]] Result<CoreOptions> core_options(const Settings& settings);

/// Fails with kInvalidInput where a file is missing, malformed, or open to others.
[[nodiscard]] Result<Keys> read_keys(const Settings& settings);

/// Keys whose values differ and that a running service cannot take.
[[nodiscard]] std::vector<std::string> changes_needing_restart(const Settings& running, const Settings& wanted);

}  // namespace evenkeel::rebalancer
