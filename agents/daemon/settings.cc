#include "agents/daemon/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "agents/probe/segment.h"
#include "agents/shell/endpoint.h"
#include "agents/wire/name.h"
#include "pipeline/config/model_file.h"
#include "pipeline/config/settings_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/trace/model_recording.h"

namespace evenkeel::agent {
namespace {

/// Settings that SIGHUP changes.
constexpr std::array<std::string_view, 3> kReloadable{"contact_timeout_ms", "log_level", "report_interval_ms"};

void add_operating(CLI::App& app, Settings& s) {
  add_setting(app, "--curve-secret", s.curve_secret, "Secret key of this agent, made by evenkeel-rebalancer keygen");
  add_setting(app, "--server-key", s.server_key, "Public key of the rebalancer, or its .pub file");
  add_setting(app, "--log-level", s.log.level, "Least that is logged: debug, info, warning or error")
      ->capture_default_str();
  add_setting(app, "--log-format", s.log.format, "text or json")->capture_default_str();
  app.add_option("--config", s.config, "YAML file of these settings; flags and environment go before it")
      ->envname(environment_name(app, "--config"));
}

Status complete_recordings(Settings& s) {
  if (s.replay.name.empty()) s.replay.name = "recordings";
  EVENKEEL_TRY_STATUS(wire::validate_name("--name", s.replay.name));
  EVENKEEL_TRY_STATUS(wire::validate_name("--model", s.replay.model));
  if (!s.recordings_state.empty()) return {};
  s.recordings_state = fmt::format("{}/.evenkeel-{}.json", s.recordings, probe::segment_name(s.replay.name));
  return {};
}

Status validate_attach(const std::vector<std::string>& names) {
  if (names.size() > 1 && std::ranges::find(names, "all") != names.end()) {
    return invalid_input(
        fmt::format("--attach is {}; give all alone, or names of probes without it", fmt::join(names, ",")));
  }
  for (const std::string& name : names) EVENKEEL_TRY_STATUS(probe::validate_segment_name("--attach", name));
  return {};
}

}  // namespace

void add_options(CLI::App& app, Settings& s) {
  app.set_version_flag("--version", EVENKEEL_VERSION);
  app.add_option("--attach", s.attach, "Probes of workers to stand beside; 'all' for every worker of this machine")
      ->delimiter(',')
      ->envname(environment_name(app, "--attach"));
  add_setting(app, "--recordings", s.recordings, "Folder of an engine's recordings to report, without a worker");
  add_setting(app, "--recordings-state", s.recordings_state,
              "File that remembers which are counted [.evenkeel-<name>.json in the folder]");
  add_setting(app, "--recorded-model", s.recorded_model, "Model of the recordings: a name or a model file");
  add_setting(app, "--rebalancer", s.rebalancer, "Where the rebalancer takes reports")->capture_default_str();
  add_setting(app, "--subscribe", s.subscribe, "Where the rebalancer broadcasts")->capture_default_str();
  add_setting(app, "--report-interval-ms", s.report_interval_ms, "Time between reports")
      ->check(CLI::Range(10, 60'000))
      ->capture_default_str();
  add_setting(app, "--contact-timeout-ms", s.contact_timeout_ms,
              "Silence after which the agent says HELLO again; never less than three report intervals")
      ->check(CLI::Range(100, 600'000))
      ->capture_default_str();
  add_flag_value(app, "--exit-at-epoch", s.exit_at_epoch,
                 "End with success once the worker runs this epoch, or a later one");
  add_flag_value(app, "--exit-after-ms", s.exit_after_ms,
                 "End after this time; a failure where --exit-at-epoch is not reached");
  add_flag_value(app, "--log-json", s.log_json, "Append every event to this file, one JSON object a line");
  replay::add_options(app, s.replay);
  add_operating(app, s);
}

Status complete_settings(CLI::App& app, Settings& s) {
  if (!s.config.empty()) EVENKEEL_TRY_STATUS(apply_settings_file(app, s.config));
  s.given = given_settings(app);
  return {};
}

Status validate(Settings& s) {
  if (s.curve_secret.empty() != s.server_key.empty()) {
    return invalid_input(fmt::format("{} is missing; --curve-secret and --server-key go together",
                                     s.curve_secret.empty() ? "--curve-secret" : "--server-key"));
  }
  EVENKEEL_TRY_STATUS(s.log.validate());
  EVENKEEL_TRY_STATUS(shell::validate_endpoint("--rebalancer", s.rebalancer));
  EVENKEEL_TRY_STATUS(shell::validate_endpoint("--subscribe", s.subscribe));
  const int inputs = int{!s.replay.trace.empty()} + int{!s.attach.empty()} + int{!s.recordings.empty()};
  if (inputs != 1) {
    return invalid_input(
        "give one of --attach with the workers' probes (or all), --recordings with a folder, and --replay with a "
        "trace");
  }
  if (!s.recordings.empty()) return complete_recordings(s);
  if (!s.replay.trace.empty()) return replay::complete(s.replay);
  return validate_attach(s.attach);
}

Result<shell::Curve> read_keys(const Settings& s) {
  if (s.curve_secret.empty()) return shell::Curve{};
  EVENKEEL_TRY(own, shell::read_curve_secret("--curve-secret", s.curve_secret));
  EVENKEEL_TRY(server_key, shell::read_curve_public("--server-key", s.server_key));
  return shell::Curve{std::move(own), std::move(server_key)};
}

Result<RecordingOptions> read_recording_options(const Settings& s) {
  RecordingOptions options;
  if (!s.recorded_model.empty()) {
    EVENKEEL_TRY(model, read_model(s.recorded_model));
    options = {.read = read_options(model), .top_k = model.top_k};
  }
  if (s.replay.experts) options.read.experts = s.replay.experts;
  return options;
}

std::vector<std::string> changes_needing_restart(const Settings& running, const Settings& wanted) {
  return changed_settings(running.given, wanted.given, kReloadable);
}

}  // namespace evenkeel::agent
