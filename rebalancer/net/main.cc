// evenkeel-rebalancer: takes in counts, plans placements and migrates agents to them.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "agents/shell/note_text.h"
#include "agents/shell/stop_signals.h"
#include "pipeline/config/strict_yaml.h"
#include "pipeline/flags/setting.h"
#include "rebalancer/core/core.h"
#include "rebalancer/core/recovery.h"
#include "rebalancer/net/endpoint.h"
#include "rebalancer/net/server.h"
#include "rebalancer/store/journal.h"

namespace evenkeel::rebalancer {
namespace {

struct Settings {
  std::string bind = "tcp://127.0.0.1:5591";
  std::string publish = "tcp://127.0.0.1:5592";
  std::string state;
  std::size_t gpus = 0;
  std::size_t nodes = 1;
  std::uint32_t agents = 0;
  std::size_t redundant = 0;
  std::uint64_t min_tokens = 10'000;
  std::uint32_t min_interval_ms = 5'000;
  double min_gain = 0.02;
  std::uint32_t prepare_timeout_ms = 30'000;
  std::uint32_t lease_ms = 5'000;
  double solve_seconds = 1.0;
  std::optional<std::uint64_t> max_migrations;
  bool insecure = false;
  std::string config;
};

/// A setting has one name: --min-tokens, EVENKEEL_MIN_TOKENS, and min_tokens in a file.
std::string spelled(std::string name, char from, char to) {
  std::replace(name.begin(), name.end(), from, to);
  return name;
}

/// Returns the keys that a settings file may have.
std::vector<std::string> add_options(CLI::App& app, Settings& s) {
  app.set_version_flag("--version", EVENKEEL_VERSION);
  add_setting(app, "--bind", s.bind, "Endpoint that agents report to")->capture_default_str();
  add_setting(app, "--publish", s.publish, "Endpoint that decisions are broadcast from")->capture_default_str();
  add_setting(app, "--state", s.state, "Folder of the journal");
  add_setting(app, "--gpus", s.gpus, "GPUs the experts are spread over");
  add_setting(app, "--nodes", s.nodes, "Machines those GPUs are in")->capture_default_str();
  add_setting(app, "--agents", s.agents, "Agents of the group; nothing is planned until all are there");
  add_setting(app, "--redundant", s.redundant, "Spare slots a layer, over all GPUs")->capture_default_str();
  add_setting(app, "--min-tokens", s.min_tokens, "New tokens a plan needs")->capture_default_str();
  add_setting(app, "--min-interval-ms", s.min_interval_ms, "Least time between two plans")->capture_default_str();
  add_setting(app, "--min-gain", s.min_gain, "Least relative drop of mean imbalance worth a migration")
      ->capture_default_str();
  add_setting(app, "--prepare-timeout-ms", s.prepare_timeout_ms, "Time workers have to load a placement")
      ->capture_default_str();
  add_setting(app, "--lease-ms", s.lease_ms, "Silence after which an agent counts as absent")->capture_default_str();
  add_setting(app, "--solve-seconds", s.solve_seconds, "Solver time a plan")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  add_setting(app, "--max-migrations", s.max_migrations, "Migrations this process may commit [no limit]");
  std::vector<std::string> keys;
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_single_name();
    if (name != "help" && name != "version") keys.push_back(spelled(name, '-', '_'));
  }
  app.add_flag("--insecure", s.insecure, "Accept any peer on endpoints that other machines can reach");
  app.add_option("--config", s.config, "YAML file of these settings; flags and environment go before it")
      ->envname("EVENKEEL_CONFIG");
  return keys;
}

/// Fills in what neither a flag nor the environment has set. Throws CLI::ParseError for a value of the wrong kind.
Status apply_config(CLI::App& app, const std::string& path, const std::vector<std::string>& keys) {
  if (path.empty()) return {};
  EVENKEEL_TRY(file, StrictYaml::read(path, keys));
  for (const auto& [key, text] : file.entries()) {
    CLI::Option* option = app.get_option("--" + spelled(key, '_', '-'));
    if (option->count() > 0) continue;
    option->add_result(text);
    option->run_callback();
  }
  return {};
}

Status validate(const Settings& s) {
  if (s.state.empty()) return invalid_input("--state is missing; give a folder for the journal");
  if (s.gpus == 0) return invalid_input("--gpus is missing; give the number of GPUs the experts are spread over");
  if (s.agents == 0) return invalid_input("--agents is missing; give the number of agents of the group");
  if (s.insecure) return {};
  EVENKEEL_TRY_STATUS(require_local("--bind", s.bind));
  return require_local("--publish", s.publish);
}

CoreOptions core_options(const Settings& s) {
  CoreOptions options;
  options.cluster.gpus = s.gpus;
  options.cluster.nodes = s.nodes;
  options.redundant = s.redundant;
  options.agents_expected = s.agents;
  options.tokens_min = s.min_tokens;
  options.interval_min = std::chrono::milliseconds(s.min_interval_ms);
  options.gain_min_ratio = s.min_gain;
  options.prepare_timeout = std::chrono::milliseconds(s.prepare_timeout_ms);
  options.lease = std::chrono::milliseconds(s.lease_ms);
  options.migrations_max = s.max_migrations;
  return options;
}

void log_recovery(const Recovery& recovery, const Server::Observer& observe) {
  wire::Note started{"rebalancer_started", {{"term", recovery.term}}};
  if (recovery.running) {
    started.fields.emplace_back("epoch", recovery.running->epoch);
    started.fields.emplace_back("digest", wire::digest_text(wire::digest(recovery.running->placement)));
  }
  observe(started);
  for (const JournalRecord& record : recovery.aborts) {
    observe({"epoch_aborted", {{"term", record.stamp.term}, {"epoch", record.stamp.epoch}, {"reason", record.reason}}});
  }
}

void log_end(const Server& server, const shell::LogLimit& limit) {
  const CoreCounters& core = server.core().counters();
  const TrafficCounters& traffic = server.traffic();
  const wire::Note ended{"rebalancer_stopped",
                         {{"hellos_accepted", core.hellos_accepted},
                          {"hellos_refused", core.hellos_refused},
                          {"reports_accepted", core.reports_accepted},
                          {"reports_stale", core.reports_stale},
                          {"reports_refused", core.reports_refused},
                          {"messages_from_unknown", core.messages_from_unknown},
                          {"messages_late", core.messages_late},
                          {"messages_resent", core.messages_resent},
                          {"messages_unexpected", core.messages_unexpected},
                          {"messages_malformed", traffic.messages_malformed},
                          {"sends_dropped", traffic.sends_dropped},
                          {"sends_without_peer", traffic.sends_without_peer},
                          {"refusals_received", core.refusals_received},
                          {"decisions_keep", core.decisions_keep},
                          {"epochs_committed", core.epochs_committed},
                          {"epochs_aborted", core.epochs_aborted},
                          {"log_lines_suppressed", limit.suppressed()}}};
  spdlog::info(shell::key_values(ended));
}

/// Opens the journal and begins a term: what was in doubt is decided before anyone can connect.
Result<Recovery> recover_from(Journal& journal) {
  EVENKEEL_TRY(term, journal.begin_term());
  EVENKEEL_TRY(records, journal.records());
  EVENKEEL_TRY(recovery, recover(term, records));
  if (!recovery.aborts.empty()) EVENKEEL_TRY_STATUS(journal.append(recovery.aborts));
  return recovery;
}

Result<int> run(const Settings& s, shell::StopSignals& signals) {
  EVENKEEL_TRY_STATUS(validate(s));
  const CoreOptions options = core_options(s);
  EVENKEEL_TRY_STATUS(options.validate());
  shell::LogLimit limit;
  const Server::Observer observe = [&](const wire::Note& note) {
    if (limit.admits(std::chrono::steady_clock::now())) spdlog::info(shell::key_values(note));
  };
  EVENKEEL_TRY(journal, Journal::open(s.state));
  EVENKEEL_TRY(recovery, recover_from(journal));
  log_recovery(recovery, observe);
  EVENKEEL_TRY(core, Core::create(options, std::move(recovery)));
  shell::SocketContext context;
  EVENKEEL_TRY(server,
               Server::start(context, {s.bind, s.publish}, std::move(core), std::move(journal),
                             {options.cluster, s.redundant, std::chrono::duration<double>(s.solve_seconds)}, observe));
  if (s.insecure) observe({"peers_unauthenticated", {{"bind", s.bind}, {"publish", s.publish}}});
  std::optional<int> code;
  while (!code) {
    EVENKEEL_TRY_STATUS(server.do_work(std::chrono::milliseconds(50)));
    code = signals.exit_code();
  }
  log_end(server, limit);
  return *code;
}

int run_program(int argc, char** argv) {
  shell::StopSignals signals;
  spdlog::set_default_logger(spdlog::stderr_color_mt("evenkeel-rebalancer"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %n %l %v", spdlog::pattern_time_type::utc);
  Settings settings;
  CLI::App app("Plans expert placements from live counts and migrates agents to them.", "evenkeel-rebalancer");
  const auto keys = add_options(app, settings);
  Result<int> code = 0;
  try {
    app.parse(argc, argv);
    if (auto status = apply_config(app, settings.config, keys); !status) code = tl::unexpected(status.error());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "evenkeel-rebalancer: {}\n", usage_message(app, error, argc, argv));
    return 2;
  }
  if (code) code = run(settings, signals);
  if (code) return *code;
  fmt::print(stderr, "evenkeel-rebalancer: {}\n", code.error().message);
  return exit_code(code.error().code);
}

}  // namespace
}  // namespace evenkeel::rebalancer

int main(int argc, char** argv) { return evenkeel::rebalancer::run_program(argc, argv); }
