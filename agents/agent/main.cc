// evenkeel-agent: stands beside workers, reports what they count and hands them what is to be loaded.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "agents/agent/event_log.h"
#include "agents/agent/sessions.h"
#include "agents/agent/stand_in_process.h"
#include "agents/replay/settings.h"
#include "agents/shell/logging.h"
#include "agents/shell/stop_signals.h"
#include "agents/shell/systemd_notify.h"
#include "pipeline/config/settings_file.h"
#include "pipeline/flags/setting.h"

namespace evenkeel::agent {
namespace {

using std::chrono::milliseconds;

/// How often workers are looked at: a replay's window may wait for it, an engine's step never does.
constexpr milliseconds kReplayLook{2};
constexpr milliseconds kAttachedLook{100};
constexpr milliseconds kFindInterval{1'000};

struct Settings {
  replay::Settings replay;
  std::vector<std::string> attach;
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
};

void add_operating(CLI::App& app, Settings& s) {
  add_setting(app, "--curve-secret", s.curve_secret, "Secret key of this agent, made by evenkeel-rebalancer keygen");
  add_setting(app, "--server-key", s.server_key, "Public key of the rebalancer, or its .pub file");
  add_setting(app, "--log-level", s.log.level, "Least that is logged: debug, info, warning or error")
      ->capture_default_str();
  add_setting(app, "--log-format", s.log.format, "text or json")->capture_default_str();
  app.add_option("--config", s.config, "YAML file of these settings; flags and environment go before it")
      ->envname(environment_name(app, "--config"));
}

/// Takes the settings file in, and hands what is given to the stand-in worker, which reads flags and environment alone.
Status complete_settings(CLI::App& app, const Settings& s) {
  if (s.config.empty()) return {};
  EVENKEEL_TRY_STATUS(apply_settings_file(app, s.config));
  for (const auto& [key, text] : given_settings(app)) {
    std::string flag = key;
    std::ranges::replace(flag, '_', '-');
    setenv(environment_name(app, "--" + flag).c_str(), text.c_str(), 1);
  }
  return {};
}

Result<shell::Curve> read_keys(const Settings& s) {
  if (s.curve_secret.empty()) return shell::Curve{};
  EVENKEEL_TRY(own, shell::read_curve_secret("--curve-secret", s.curve_secret));
  EVENKEEL_TRY(server_key, shell::read_curve_public("--server-key", s.server_key));
  return shell::Curve{std::move(own), std::move(server_key)};
}

void add_options(CLI::App& app, Settings& s) {
  app.set_version_flag("--version", EVENKEEL_VERSION);
  app.add_option("--attach", s.attach, "Probes of workers to stand beside; 'all' for every worker of this machine")
      ->delimiter(',')
      ->envname(environment_name(app, "--attach"));
  add_setting(app, "--rebalancer", s.rebalancer, "Where the rebalancer takes reports")->capture_default_str();
  add_setting(app, "--subscribe", s.subscribe, "Where the rebalancer broadcasts")->capture_default_str();
  add_setting(app, "--report-interval-ms", s.report_interval_ms, "Time between reports")
      ->check(CLI::Range(10, 60'000))
      ->capture_default_str();
  add_setting(app, "--contact-timeout-ms", s.contact_timeout_ms, "Silence after which the agent says HELLO again")
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

Status validate(Settings& s) {
  if (s.curve_secret.empty() != s.server_key.empty()) {
    return invalid_input(fmt::format("{} is missing; --curve-secret and --server-key go together",
                                     s.curve_secret.empty() ? "--curve-secret" : "--server-key"));
  }
  EVENKEEL_TRY_STATUS(s.log.validate());
  if (s.replay.trace.empty() == s.attach.empty()) {
    return invalid_input("give --attach with the workers' probes (or all), or --replay with a trace");
  }
  if (!s.replay.trace.empty()) return replay::complete(s.replay);
  if (s.attach == std::vector<std::string>{"all"}) return {};
  for (const std::string& name : s.attach) EVENKEEL_TRY_STATUS(probe::validate_segment_name("--attach", name));
  return {};
}

/// The program's loop: which workers there are, and when it is over.
class Program {
 public:
  Program(const Settings& settings, const shell::Curve& curve, Sessions::Observer observer)
      : settings_(settings),
        sessions_(context_,
                  {.endpoints = {settings.rebalancer, settings.subscribe, curve},
                   .report_interval = milliseconds(settings.report_interval_ms),
                   .contact_timeout = milliseconds(settings.contact_timeout_ms)},
                  std::move(observer)) {}

  Result<int> attached(shell::StopSignals& signals) {
    const bool is_all = settings_.attach == std::vector<std::string>{"all"};
    const std::vector<std::string> names = is_all ? std::vector<std::string>{} : settings_.attach;
    std::optional<TimePoint> found;
    std::optional<int> code;
    while (!code) {
      const TimePoint now = std::chrono::steady_clock::now();
      if (!found || now - *found >= kFindInterval) {
        sessions_.find(names);
        sessions_.end_of_dead_workers();
        found = now;
      }
      sessions_.do_work(kAttachedLook);
      code = signals.exit_code();
      if (!code) code = outcome();
    }
    sessions_.stop();
    return *code;
  }

  Result<int> beside_replay(shell::StopSignals& signals, char** arguments) {
    EVENKEEL_TRY(worker, StandInProcess::start(settings_.replay.probe, arguments));
    EVENKEEL_TRY_STATUS(sessions_.add(settings_.replay.probe));
    AgentShell& shell = sessions_.all().front();
    std::optional<int> code;
    while (!code) {
      sessions_.do_work(kReplayLook);
      code = signals.exit_code();
      if (!code) code = outcome();
      if (!code && shell.probe().is_finished() && shell.is_all_acknowledged()) code = settings_.exit_at_epoch ? 1 : 0;
      if (!code && !shell.probe().is_alive()) return failure("--replay: the stand-in worker has ended too early");
    }
    print_outcome(shell);
    sessions_.stop();
    worker.release(shell.probe());
    return *code;
  }

 private:
  /// Exit code of the program once it is time to end, else none.
  std::optional<int> outcome() {
    const auto elapsed = std::chrono::steady_clock::now() - started_;
    for (AgentShell& shell : sessions_.all()) {
      const auto& running = shell.state().running();
      if (shell.state().fenced()) return 1;
      if (settings_.exit_at_epoch && running && running->epoch >= *settings_.exit_at_epoch) return 0;
    }
    if (settings_.exit_after_ms && elapsed >= milliseconds(*settings_.exit_after_ms)) {
      return settings_.exit_at_epoch ? 1 : 0;
    }
    return std::nullopt;
  }

  static void print_outcome(AgentShell& shell) {
    const auto& running = shell.state().running();
    std::uint64_t tokens = 0;
    if (const auto tally = shell.probe().read()) {
      for (const wire::StageCounts& stage : tally->stages) tokens += stage.tokens;
    }
    fmt::print("epoch={} term={} digest={} tokens={}\n", running ? fmt::format("{}", running->epoch) : "none",
               shell.state().term_seen(), running ? wire::digest_text(running->digest) : "none", tokens);
    std::fflush(stdout);
  }

  const Settings& settings_;
  shell::SocketContext context_;
  Sessions sessions_;
  TimePoint started_ = std::chrono::steady_clock::now();
};

Result<int> run(Settings& s, shell::StopSignals& signals, char** arguments) {
  EVENKEEL_TRY_STATUS(validate(s));
  std::optional<EventLog> event_log;
  if (!s.log_json.empty()) {
    EVENKEEL_TRY(opened, EventLog::open(s.log_json));
    event_log = std::move(opened);
  }
  EVENKEEL_TRY(curve, read_keys(s));
  shell::Log log("evenkeel-agent", s.log);
  const auto observe = [&](const std::string& worker, wire::Note note) {
    if (event_log) event_log->write(worker, note);
    note.fields.insert(note.fields.begin(), {"worker", worker});
    log.write(note);
  };
  Program program(s, curve, observe);
  shell::notify_service_manager("READY=1");
  auto code = s.attach.empty() ? program.beside_replay(signals, arguments) : program.attached(signals);
  if (log.suppressed() > 0) log.write({"log_lines_suppressed", {{"count", log.suppressed()}}});
  return code;
}

int run_program(int argc, char** argv) {
  shell::StopSignals signals;
  Settings settings;
  CLI::App app("Reports workers' expert counts and carries out migrations.", "evenkeel-agent");
  add_options(app, settings);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "evenkeel-agent: {}\n", usage_message(app, error, argc, argv));
    return 2;
  }
  const Status completed = complete_settings(app, settings);
  const auto code = completed ? run(settings, signals, argv) : Result<int>(tl::unexpected(completed.error()));
  if (code) return *code;
  fmt::print(stderr, "evenkeel-agent: {}\n", code.error().message);
  return exit_code(code.error().code);
}

}  // namespace
}  // namespace evenkeel::agent

int main(int argc, char** argv) { return evenkeel::agent::run_program(argc, argv); }
