// evenkeel-agent: stands beside a worker, reports what it counts and carries out migrations.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "agents/agent/agent_shell.h"
#include "agents/agent/agent_state.h"
#include "agents/agent/event_log.h"
#include "agents/agent/replay_worker.h"
#include "agents/shell/logging.h"
#include "agents/shell/stop_signals.h"
#include "agents/shell/systemd_notify.h"
#include "agents/wire/frame.h"
#include "agents/wire/limits.h"
#include "pipeline/config/settings_file.h"
#include "pipeline/flags/setting.h"
#include "pipeline/trace/trace.h"

namespace evenkeel::agent {
namespace {

struct Settings {
  std::string trace;
  std::optional<std::size_t> experts;
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  std::string rebalancer = "tcp://127.0.0.1:5591";
  std::string subscribe = "tcp://127.0.0.1:5592";
  std::string name;
  std::string model = "default";
  double tokens_per_second = 20'000;
  std::uint64_t passes = 0;
  std::uint32_t load_ms = 0;
  std::uint32_t report_interval_ms = 500;
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

void add_options(CLI::App& app, Settings& s) {
  app.set_version_flag("--version", EVENKEEL_VERSION);
  add_setting(app, "--replay", s.trace, "Trace whose tokens the stand-in worker routes");
  add_setting(app, "--experts", s.experts, "Experts a layer, for traces that do not state it");
  add_setting(app, "--rank", s.rank, "Which of --world workers this is, from 0")->capture_default_str();
  add_setting(app, "--world", s.world, "Workers in all")
      ->check(CLI::Range(std::size_t{1}, wire::kWorldMax))
      ->capture_default_str();
  add_setting(app, "--rebalancer", s.rebalancer, "Where the rebalancer takes reports")->capture_default_str();
  add_setting(app, "--subscribe", s.subscribe, "Where the rebalancer broadcasts")->capture_default_str();
  add_setting(app, "--name", s.name, "Name of the worker; the same after a restart [worker-<rank>]");
  add_setting(app, "--model", s.model, "Name of the model")->capture_default_str();
  add_flag_value(app, "--tokens-per-second", s.tokens_per_second, "Pace of the replay")
      ->check(CLI::Range(1.0, 1e9))
      ->capture_default_str();
  add_flag_value(app, "--passes", s.passes, "Times the trace is played, 0 for ever")->capture_default_str();
  add_flag_value(app, "--load-ms", s.load_ms, "Modelled time to load a prepared placement")->capture_default_str();
  add_setting(app, "--report-interval-ms", s.report_interval_ms, "Time between reports")
      ->check(CLI::Range(10, 60'000))
      ->capture_default_str();
  add_setting(app, "--contact-timeout-ms", s.contact_timeout_ms, "Silence after which the agent says HELLO again")
      ->check(CLI::Range(100, 600'000))
      ->capture_default_str();
  add_flag_value(app, "--exit-at-epoch", s.exit_at_epoch,
                 "End with success once this epoch, or a later one, is applied");
  add_flag_value(app, "--exit-after-ms", s.exit_after_ms,
                 "End after this time; a failure where --exit-at-epoch is not reached");
  add_flag_value(app, "--log-json", s.log_json, "Append every event to this file, one JSON object a line");
  add_operating(app, s);
}

/// Milliseconds since 1970: rises over restarts of the process and of the machine. Never compared between workers.
std::uint64_t new_incarnation() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
}

Status validate(const Settings& s) {
  if (s.trace.empty()) return invalid_input("--replay is missing; give a trace");
  if (s.curve_secret.empty() != s.server_key.empty()) {
    return invalid_input(fmt::format("{} is missing; --curve-secret and --server-key go together",
                                     s.curve_secret.empty() ? "--curve-secret" : "--server-key"));
  }
  EVENKEEL_TRY_STATUS(s.log.validate());
  if (s.rank >= s.world) return invalid_input(fmt::format("--rank is {}; give 0 to {}", s.rank, s.world - 1));
  if (s.name == wire::kRebalancerName) return invalid_input("--name rebalancer is the service's; give another");
  EVENKEEL_TRY_STATUS(wire::validate_name("--name", s.name));
  return wire::validate_name("--model", s.model);
}

Status validate_shape(const ModelShape& shape) {
  if (shape.layers() <= wire::kLayersMax && shape.experts <= wire::kExpertsMax &&
      shape.layers() * shape.experts <= wire::kCellsMax) {
    return {};
  }
  return invalid_input(fmt::format("--replay: the model has {} layers of {} experts; at most {} of {}, and {} in all",
                                   shape.layers(), shape.experts, wire::kLayersMax, wire::kExpertsMax,
                                   wire::kCellsMax));
}

AgentOptions agent_options(const Settings& s, const ModelShape& shape) {
  return {.shape = shape,
          .rank = s.rank,
          .world = s.world,
          .incarnation = new_incarnation(),
          .report_interval = std::chrono::milliseconds(s.report_interval_ms),
          .contact_timeout = std::chrono::milliseconds(s.contact_timeout_ms)};
}

void print_outcome(const AgentShell& agent) {
  const auto& held = agent.state().committed();
  fmt::print("epoch={} term={} digest={} tokens={}\n", held ? fmt::format("{}", held->stamp.epoch) : "none",
             held ? held->stamp.term : 0, held ? wire::digest_text(held->digest) : "none",
             agent.worker().counts().tokens);
  std::fflush(stdout);
}

/// Exit code of the program once it is time to end, else none.
std::optional<int> outcome(const Settings& s, const AgentShell& agent, std::chrono::milliseconds elapsed) {
  const auto& held = agent.state().committed();
  if (agent.state().fenced()) return 1;
  if (s.exit_at_epoch && held && held->stamp.epoch >= *s.exit_at_epoch) return 0;
  if (s.exit_after_ms && elapsed >= std::chrono::milliseconds(*s.exit_after_ms)) return s.exit_at_epoch ? 1 : 0;
  return std::nullopt;
}

Result<shell::Curve> read_keys(const Settings& s) {
  if (s.curve_secret.empty()) return shell::Curve{};
  EVENKEEL_TRY(own, shell::read_curve_secret("--curve-secret", s.curve_secret));
  EVENKEEL_TRY(server_key, shell::read_curve_public("--server-key", s.server_key));
  return shell::Curve{std::move(own), std::move(server_key)};
}

Result<AgentShell> make_agent(shell::SocketContext& context, const Settings& s, AgentShell::Observer observer) {
  EVENKEEL_TRY(curve, read_keys(s));
  EVENKEEL_TRY(trace, read_trace(s.trace, {.experts = s.experts}));
  EVENKEEL_TRY_STATUS(validate_shape(trace.shape));
  const TimePoint now = std::chrono::steady_clock::now();
  AgentState state(agent_options(s, trace.shape), now);
  const ReplayOptions replay{.rank = s.rank,
                             .world = s.world,
                             .tokens_per_second = s.tokens_per_second,
                             .passes = s.passes,
                             .load_time = std::chrono::milliseconds(s.load_ms)};
  EVENKEEL_TRY(worker, ReplayWorker::create(std::move(trace), replay, now));
  return AgentShell::connect(context, {s.name, s.model, s.rebalancer, s.subscribe, curve}, std::move(state),
                             std::move(worker), std::move(observer));
}

Result<int> run(const Settings& s, shell::StopSignals& signals) {
  EVENKEEL_TRY_STATUS(validate(s));
  std::optional<EventLog> event_log;
  if (!s.log_json.empty()) {
    EVENKEEL_TRY(opened, EventLog::open(s.log_json, s.name));
    event_log = std::move(opened);
  }
  shell::Log log("evenkeel-agent", s.log);
  const auto observe = [&](wire::Note note) {
    if (event_log) event_log->write(note);
    note.fields.insert(note.fields.begin(), {"worker", s.name});
    log.write(note);
  };
  shell::SocketContext context;
  EVENKEEL_TRY(agent, make_agent(context, s, observe));
  observe({"agent_started", {{"rank", std::uint64_t{s.rank}}, {"world", std::uint64_t{s.world}}}});
  const TimePoint started = std::chrono::steady_clock::now();
  shell::notify_service_manager("READY=1");
  std::optional<int> code;
  while (!code) {
    agent.do_work(std::chrono::milliseconds(20));
    if (signals.take_reload()) observe({"reload_failed", {{"reason", "an agent takes settings at its start only"}}});
    code = signals.exit_code();
    if (!code) {
      const auto elapsed = std::chrono::steady_clock::now() - started;
      code = outcome(s, agent, std::chrono::duration_cast<std::chrono::milliseconds>(elapsed));
    }
  }
  const AgentCounters& counters = agent.state().counters();
  observe({"agent_stopped",
           {{"tokens", agent.worker().counts().tokens},
            {"reports_sent", counters.reports_sent},
            {"sends_dropped", agent.traffic().sends_dropped},
            {"broadcast_gaps", agent.traffic().broadcast_gaps},
            {"messages_malformed", agent.traffic().messages_malformed},
            {"messages_refused", counters.messages_refused},
            {"contacts_lost", counters.contacts_lost},
            {"log_lines_suppressed", log.suppressed()}}});
  print_outcome(agent);
  return *code;
}

int run_program(int argc, char** argv) {
  shell::StopSignals signals;
  Settings settings;
  Status completed;
  CLI::App app("Reports a worker's expert counts and carries out migrations.", "evenkeel-agent");
  add_options(app, settings);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "evenkeel-agent: {}\n", usage_message(app, error, argc, argv));
    return 2;
  }
  if (!settings.config.empty()) completed = apply_settings_file(app, settings.config);
  if (settings.name.empty()) settings.name = fmt::format("worker-{}", settings.rank);
  const auto code = completed ? run(settings, signals) : Result<int>(tl::unexpected(completed.error()));
  if (code) return *code;
  fmt::print(stderr, "evenkeel-agent: {}\n", code.error().message);
  return exit_code(code.error().code);
}

}  // namespace
}  // namespace evenkeel::agent

int main(int argc, char** argv) { return evenkeel::agent::run_program(argc, argv); }
