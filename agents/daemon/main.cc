// evenkeel-agent: stands beside workers, reports what they count and hands them what is to be loaded.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/agent/event_log.h"
#include "agents/agent/sessions.h"
#include "agents/agent/stand_in_process.h"
#include "agents/daemon/settings.h"
#include "agents/recordings/recordings_shell.h"
#include "agents/shell/logging.h"
#include "agents/shell/stop_signals.h"
#include "agents/shell/systemd_notify.h"
#include "pipeline/flags/field_flags.h"
#include "pipeline/flags/setting.h"

namespace evenkeel::agent {
namespace {

using std::chrono::milliseconds;

/// How often workers are looked at: a replay's window may wait for it, an engine's step never does.
constexpr milliseconds kReplayLook{2};
constexpr milliseconds kAttachedLook{100};
constexpr milliseconds kFindInterval{1'000};
/// What is of no worker alone.
constexpr const char* kEverybody = "-";

/// What the stand-in worker, which reads flags and environment alone, is told of the settings file.
class HandedOn {
 public:
  explicit HandedOn(const std::map<std::string, std::string>& given) {
    for (const auto& [key, text] : given) {
      std::string name = "EVENKEEL_AGENT_" + key;
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
      if (std::getenv(name.c_str()) != nullptr) continue;
      setenv(name.c_str(), text.c_str(), 1);
      names_.push_back(std::move(name));
    }
  }
  /// Or a later look at the file would find them in the environment, which goes before it.
  ~HandedOn() {
    for (const std::string& name : names_) unsetenv(name.c_str());
  }
  HandedOn(const HandedOn&) = delete;
  HandedOn& operator=(const HandedOn&) = delete;

 private:
  std::vector<std::string> names_;
};

/// The program's loop: which workers there are, and when it is over.
class Program {
 public:
  using Reread = std::function<Result<Settings>()>;

  Program(Settings settings, const shell::Curve& curve, shell::Log& log, Sessions::Observer observer, Reread reread)
      : settings_(std::move(settings)),
        curve_(curve),
        log_(log),
        observer_(observer),
        reread_(std::move(reread)),
        sessions_(context_,
                  {.endpoints = {settings_.rebalancer, settings_.subscribe, curve},
                   .report_interval = milliseconds(settings_.report_interval_ms),
                   .contact_timeout = milliseconds(settings_.contact_timeout_ms)},
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
        sessions_.end_what_is_over();
        found = now;
      }
      sessions_.do_work(kAttachedLook);
      if (signals.take_reload()) reload();
      code = signals.exit_code();
      if (!code) code = outcome();
    }
    sessions_.stop();
    return *code;
  }

  Result<int> beside_recordings(shell::StopSignals& signals) {
    EVENKEEL_TRY(reading, read_recording_options(settings_));
    const std::string worker = settings_.replay.name;
    EVENKEEL_TRY(opened, RecordingsShell::open(context_,
                                               {.folder = settings_.recordings,
                                                .state = settings_.recordings_state,
                                                .reading = std::move(reading),
                                                .worker = worker,
                                                .model = settings_.replay.model,
                                                .endpoints = {settings_.rebalancer, settings_.subscribe, curve_},
                                                .report_interval = milliseconds(settings_.report_interval_ms),
                                                .contact_timeout = milliseconds(settings_.contact_timeout_ms)},
                                               [this, worker](const wire::Note& note) { observer_(worker, note); }));
    recordings_.emplace(std::move(opened));
    std::optional<int> code;
    while (!code) {
      EVENKEEL_TRY_STATUS(recordings_->do_work(kAttachedLook));
      if (signals.take_reload()) reload();
      code = signals.exit_code();
      if (!code) code = outcome();
    }
    recordings_->stop();
    return *code;
  }

  Result<int> beside_replay(shell::StopSignals& signals, char** arguments) {
    std::optional<HandedOn> handed_on(settings_.given);
    EVENKEEL_TRY(worker, StandInProcess::start(settings_.replay.probe, arguments));
    handed_on.reset();
    EVENKEEL_TRY_STATUS(sessions_.add(settings_.replay.probe));
    AgentShell& shell = sessions_.all().front();
    std::optional<int> code;
    while (!code) {
      sessions_.do_work(kReplayLook);
      if (signals.take_reload()) reload();
      code = signals.exit_code();
      if (!code) code = outcome();
      if (!code && shell.is_all_told()) code = settings_.exit_at_epoch ? 1 : 0;
      if (!code && !shell.probe().is_alive()) return failure("--replay: the stand-in worker has ended too early");
    }
    print_outcome(shell);
    sessions_.stop();
    worker.release(shell.probe());
    return *code;
  }

 private:
  void reload() {
    auto wanted = reread_();
    const Status valid = wanted ? validate(*wanted) : Status(tl::unexpected(wanted.error()));
    if (!valid) return observer_(kEverybody, {"reload_failed", {{"reason", valid.error().message}}});
    for (const std::string& key : changes_needing_restart(settings_, *wanted)) {
      observer_(kEverybody, {"setting_needs_restart", {{"setting", key}}});
    }
    log_.set_level(wanted->log.level);
    const milliseconds report_interval(wanted->report_interval_ms);
    const milliseconds contact_timeout(wanted->contact_timeout_ms);
    sessions_.set_intervals(report_interval, contact_timeout);
    if (recordings_) recordings_->set_intervals(report_interval, contact_timeout);
    observer_(kEverybody, {"settings_reloaded", {}});
  }

  /// Exit code of the program once it is time to end, else none.
  std::optional<int> outcome() {
    if (recordings_ && recordings_->is_fenced()) return 1;
    const auto elapsed = std::chrono::steady_clock::now() - started_;
    for (AgentShell& shell : sessions_.all()) {
      const auto& running = shell.state().running();
      // One of many that it stands beside: Sessions ends that alone.
      if (settings_.attach.empty() && shell.state().fenced()) return 1;
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
      for (const StageLoad& stage : tally->stages) tokens += stage.tokens;
    }
    fmt::print("epoch={} term={} digest={} tokens={}\n", running ? fmt::format("{}", running->epoch) : "none",
               shell.state().term_seen(), running ? wire::digest_text(running->digest) : "none", tokens);
    std::fflush(stdout);
  }

  Settings settings_;
  shell::Curve curve_;
  shell::Log& log_;
  Sessions::Observer observer_;
  Reread reread_;
  shell::SocketContext context_;
  Sessions sessions_;
  std::optional<RecordingsShell> recordings_;
  TimePoint started_ = std::chrono::steady_clock::now();
};

/// The command line with everything that can be said on it.
struct CommandLine {
  CLI::App app{"Reports workers' expert counts and carries out migrations.", "evenkeel-agent"};
  Settings settings;

  CommandLine() { add_options(app, settings); }
};

Result<Settings> read_settings(int argc, char** argv) {
  CommandLine line;
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return invalid_input(error.what());
  }
  EVENKEEL_TRY_STATUS(complete_settings(line.app, line.settings));
  return line.settings;
}

Result<int> run(Settings& s, shell::StopSignals& signals, int argc, char** argv) {
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
  Program program(s, curve, log, observe, [argc, argv] { return read_settings(argc, argv); });
  shell::notify_service_manager("READY=1");
  auto code = !s.recordings.empty() ? program.beside_recordings(signals)
              : s.attach.empty()    ? program.beside_replay(signals, argv)
                                    : program.attached(signals);
  if (log.suppressed() > 0) log.write({"log_lines_suppressed", {{"count", log.suppressed()}}});
  return code;
}

int run_program(int argc, char** argv) {
  shell::StopSignals signals;
  CommandLine line;
  CLI::App& app = line.app;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "evenkeel-agent: {}\n", usage_message(app, error, argc, argv));
    return 2;
  }
  const Status completed = complete_settings(app, line.settings);
  const auto code =
      completed ? run(line.settings, signals, argc, argv) : Result<int>(tl::unexpected(completed.error()));
  if (code) return *code;
  fmt::print(stderr, "evenkeel-agent: {}\n", with_flags(app, code.error().message, code.error().fields));
  return exit_code(code.error().code);
}

}  // namespace
}  // namespace evenkeel::agent

int main(int argc, char** argv) { return evenkeel::agent::run_program(argc, argv); }
