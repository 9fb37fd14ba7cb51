#include "rebalancer/service/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "pipeline/config/bundled_files.h"
#include "pipeline/config/cluster_file.h"
#include "pipeline/config/settings_file.h"
#include "pipeline/flags/setting.h"
#include "rebalancer/net/endpoint.h"

namespace evenkeel::rebalancer {
namespace {

/// Settings that SIGHUP changes. Keys are read again from the files they name, even where those names are the same.
constexpr std::array<std::string_view, 20> kReloadable{
    "authorized_keys", "batch_tokens",   "drain_ms",           "dry_run",  "guard",           "lease_ms",
    "log_level",       "max_migrations", "max_moves",          "min_gain", "min_interval_ms", "min_interval_windows",
    "min_tokens",      "model",          "prepare_timeout_ms", "spare",    "stall",           "steps_per_window",
    "warmup_windows",  "window_steps"};

// sun_path of a Unix socket, with its closing zero.
constexpr std::size_t kSocketPathMax = 107;

void add_planning(CLI::App& app, Settings& s) {
  add_setting(app, "--cluster", s.cluster,
              "YAML file of the cluster, or hardware whose number --gpus and --nodes say: " +
                  CLI::detail::join(hardware_names(), ", "));
  add_setting(app, "--ep-group", s.ep_group, "The group of the cluster file, where it has several");
  add_setting(app, "--gpus", s.gpus, "GPUs the experts are spread over");
  add_setting(app, "--nodes", s.nodes, "Machines those GPUs are in; default 1");
  add_setting(app, "--agents", s.agents, "Agents of the group; nothing is planned until all are there");
  add_setting(app, "--redundant", s.core.redundant, "Spare slots a layer, over all GPUs")->capture_default_str();
  add_setting(app, "--min-tokens", s.core.tokens_min, "New tokens a plan needs")->capture_default_str();
  add_setting(app, "--min-interval-ms", s.min_interval_ms, "Least time between two plans")->capture_default_str();
  add_setting(app, "--prepare-timeout-ms", s.prepare_timeout_ms, "Time workers have to load a placement")
      ->capture_default_str();
  add_setting(app, "--lease-ms", s.lease_ms, "Silence after which an agent counts as absent")->capture_default_str();
  add_setting(app, "--max-migrations", s.core.migrations_max,
              "Migrations of each model that this process may adopt; absent: no limit");
  add_switch(app, "--dry-run", s.dry_run, "Plan and say so, but migrate nothing");
  add_plan_settings(app, s.plan, s.core);
}

void add_operating(CLI::App& app, Settings& s) {
  add_setting(app, "--bind", s.bind, "Endpoint that agents report to")->capture_default_str();
  add_setting(app, "--publish", s.publish, "Endpoint that decisions are broadcast from")->capture_default_str();
  add_setting(app, "--control", s.control, "Endpoint for evenkeel status, freeze, ... [ipc://STATE/control.sock]");
  add_setting(app, "--http", s.http, "HOST:PORT of /metrics, /healthz, /readyz and /status; absent: none");
  add_switch(app, "--http-open", s.http_open, "Let other machines read what --http serves");
  add_setting(app, "--state", s.state, "Folder of the journal");
  add_setting(app, "--curve-secret", s.curve_secret,
              "Secret key of this service, made by keygen; agents must have keys too");
  add_setting(app, "--authorized-keys", s.authorized_keys,
              "File, or folder of .pub files, of the keys that may connect");
  add_setting(app, "--drain-ms", s.drain_ms, "Time that agents have to finish a migration after SIGTERM")
      ->check(CLI::Range(0, 600'000))
      ->capture_default_str();
  add_setting(app, "--log-level", s.log.level, "Least that is logged: debug, info, warning or error")
      ->capture_default_str();
  add_setting(app, "--log-format", s.log.format, "text or json")->capture_default_str();
}

Status validate_endpoints(const Settings& s) {
  const std::string control = s.control_endpoint();
  constexpr std::string_view kIpc = "ipc://";
  if (control.starts_with(kIpc) && control.size() - kIpc.size() > kSocketPathMax) {
    return invalid_input(fmt::format("--control is {}, a path of {} bytes; give one of at most {}", control,
                                     control.size() - kIpc.size(), kSocketPathMax));
  }
  if (!s.http.empty() && !s.http_open && !is_local_endpoint("tcp://" + s.http)) {
    return invalid_input(fmt::format(
        "--http is {}, which other machines can read; give 127.0.0.1:PORT, or --http-open to let them", s.http));
  }
  if (s.curve_secret.empty() != s.authorized_keys.empty()) {
    return invalid_input(fmt::format("{} is missing; --curve-secret and --authorized-keys go together",
                                     s.curve_secret.empty() ? "--curve-secret" : "--authorized-keys"));
  }
  if (s.insecure || !s.curve_secret.empty()) return {};
  EVENKEEL_TRY_STATUS(require_local("--bind", s.bind));
  EVENKEEL_TRY_STATUS(require_local("--publish", s.publish));
  return require_local("--control", control);
}

Result<Cluster> read_uniform_cluster(const Settings& s) {
  EVENKEEL_TRY(groups, read_cluster(s.cluster));
  EVENKEEL_TRY(group, s.ep_group.empty() ? only_group(groups, s.cluster) : named_group(groups, s.cluster, s.ep_group));
  const Cluster& cluster = group.cluster;
  if (cluster.speeds.empty() && cluster.slots.empty() && cluster.memory_gb.empty()) return std::move(group.cluster);
  return invalid_input(
      fmt::format("{}: the service places on GPUs that are alike; leave out speeds, slots and memory_gb", s.cluster));
}

Result<Cluster> cluster_of(const Settings& s) {
  const bool is_counted = s.gpus || s.nodes;
  Cluster cluster;
  if (!s.cluster.empty()) {
    if (is_path(s.cluster) && is_counted) {
      return invalid_input("both a cluster file and --gpus or --nodes are given; give one or the other");
    }
    EVENKEEL_TRY(read, read_uniform_cluster(s));
    cluster = std::move(read);
  } else if (!s.ep_group.empty()) {
    return invalid_input("--ep-group names a group of a cluster file; give --cluster");
  } else if (!s.gpus) {
    return invalid_input("--gpus is missing; give the number of GPUs the experts are spread over, or --cluster FILE");
  }
  cluster.gpus = s.gpus.value_or(cluster.gpus);
  cluster.nodes = s.nodes.value_or(cluster.nodes);
  return cluster;
}

CoreOptions group_options(const Settings& s, Cluster cluster) {
  CoreOptions options = s.core;
  options.cluster = std::move(cluster);
  options.agents_expected = s.agents;
  options.interval_min = std::chrono::milliseconds(s.min_interval_ms);
  options.prepare_timeout = std::chrono::milliseconds(s.prepare_timeout_ms);
  options.lease = std::chrono::milliseconds(s.lease_ms);
  return options;
}

}  // namespace

void add_settings(CLI::App& app, Settings& s) {
  add_operating(app, s);
  add_planning(app, s);
  app.add_flag("--insecure", s.insecure, "Allow endpoints that other machines can reach, without any authentication");
  app.add_option("--config", s.config, "YAML file of these settings; flags and environment go before it")
      ->envname(environment_name(app, "--config"));
}

Status complete_settings(CLI::App& program, Settings& settings) {
  if (!settings.config.empty()) EVENKEEL_TRY_STATUS(apply_settings_file(program, settings.config));
  settings.given = given_settings(program);
  return {};
}

Status validate(const Settings& s) {
  if (s.state.empty()) return invalid_input("--state is missing; give a folder for the journal");
  if (s.agents == 0) return invalid_input("--agents is missing; give the number of agents of the group");
  EVENKEEL_TRY_STATUS(s.log.validate());
  EVENKEEL_TRY_STATUS(validate_endpoints(s));
  // All that can be wrong but the profile, which takes a solve to find out.
  Settings unprofiled = s;
  unprofiled.plan.profile.clear();
  const auto options = core_options(unprofiled);
  return options ? Status() : Status(tl::unexpected(options.error()));
}

Result<CoreOptions> core_options(const Settings& s) {
  EVENKEEL_TRY(cluster, cluster_of(s));
  CoreOptions options = group_options(s, std::move(cluster));
  EVENKEEL_TRY_STATUS(options.validate());
  EVENKEEL_TRY_STATUS(apply(s.plan, options));
  return options;
}

Result<Keys> read_keys(const Settings& settings) {
  Keys keys;
  if (settings.curve_secret.empty()) return keys;
  EVENKEEL_TRY(own, shell::read_curve_secret("--curve-secret", settings.curve_secret));
  EVENKEEL_TRY(authorised, AuthorisedKeys::read(settings.authorized_keys));
  keys.curve.own = std::move(own);
  keys.authorised = std::move(authorised);
  return keys;
}

std::vector<std::string> changes_needing_restart(const Settings& running, const Settings& wanted) {
  return changed_settings(running.given, wanted.given, kReloadable);
}

}  // namespace evenkeel::rebalancer
