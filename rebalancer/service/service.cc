#include "rebalancer/service/service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/shell/systemd_notify.h"
#include "pipeline/flags/field_flags.h"
#include "rebalancer/core/recovery.h"
#include "rebalancer/observe/status.h"
#include "rebalancer/store/journal.h"

namespace evenkeel::rebalancer {
namespace {

// Deadlines and repetitions are a few hundred milliseconds.
constexpr std::chrono::milliseconds kLoopWait{20};
// A loop that is this slow to answer is taken for stuck. A report of the largest model takes under a millisecond.
constexpr std::chrono::milliseconds kAnswerTimeout{2'000};
constexpr std::chrono::seconds kWatchdogInterval{1};

/// Opens the journal and begins a term: what was in doubt is decided before anyone can connect.
Result<Recovery> recover_from(Journal& journal) {
  EVENKEEL_TRY(term, journal.begin_term());
  EVENKEEL_TRY(records, journal.records());
  EVENKEEL_TRY(totals, journal.totals());
  auto recovery = recover(term, records, totals);
  if (!recovery) return tl::unexpected(journal.explain(recovery.error()));
  if (!recovery->aborts.empty()) EVENKEEL_TRY_STATUS(journal.append(recovery->aborts));
  return recovery;
}

/// The error with the settings that its fields are set by.
std::string told(const Error& error) {
  CLI::App program;
  Settings settings;
  add_settings(program, settings);
  return with_flags(program, error.message, error.fields);
}

/// Takes as many open files as the system lets this process have: each agent is one. Fails where that is too few.
Status allow_open_files(std::uint32_t agents) {
  // The journal, listening sockets, HTTP, ZeroMQ's own.
  constexpr rlim_t kOwnFiles = 128;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  // Two connections an agent, reports and broadcasts.
  const rlim_t wanted = kOwnFiles + 2 * rlim_t{agents};
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted) return {};
  return invalid_input(
      fmt::format("--agents is {}, which takes {} open files; this process may have {}: raise ulimit -n, or "
                  "LimitNOFILE of its unit",
                  agents, wanted, limit.rlim_cur));
}

}  // namespace

Service::Service(Settings settings, Reread reread)
    : settings_(std::move(settings)), reread_(std::move(reread)), log_("evenkeel-rebalancer", settings_.log) {}

Result<std::unique_ptr<Service>> Service::start(Settings settings, Reread reread) {
  EVENKEEL_TRY_STATUS(validate(settings));
  std::unique_ptr<Service> service(new Service(std::move(settings), std::move(reread)));
  EVENKEEL_TRY_STATUS(service->open());
  return service;
}

Status Service::open() {
  EVENKEEL_TRY_STATUS(allow_open_files(settings_.agents));
  EVENKEEL_TRY(keys, read_keys(settings_));
  const shell::Curve curve = keys.curve;
  EVENKEEL_TRY(journal, Journal::open(settings_.state));
  EVENKEEL_TRY(recovery, recover_from(journal));
  observe_recovery(recovery);
  GroupsOptions options;
  options.models_max = settings_.plan.max_models;
  EVENKEEL_TRY(defaults, core_options(settings_));
  // The layers are said because those that the profile has no load on may have been taken as dense.
  if (const auto& first = defaults.first_placement)
    observe({"profile_placed", {{"layers", fmt::format("{}", fmt::join(first->layer_ids(), ","))}}});
  options.defaults = std::move(defaults);
  EVENKEEL_TRY(groups, Groups::create(std::move(options), std::move(recovery)));
  EVENKEEL_TRY(
      server, Server::start(
                  context_, {settings_.bind, settings_.publish}, std::move(groups), std::move(journal),
                  planner_options(settings_.plan), [this](const wire::Note& note) { observe(note); }, std::move(keys)));
  server_.emplace(std::move(server));
  if (settings_.dry_run) EVENKEEL_TRY_STATUS(server_->set_dry_run(true));
  if (!curve.is_on()) observe({"peers_unauthenticated", {{"bind", settings_.bind}, {"publish", settings_.publish}}});
  return open_operators_side(curve);
}

void Service::observe_recovery(const Recovery& recovery) {
  observe({"rebalancer_started", {{"term", recovery.term}}});
  for (const auto& [model, group] : recovery.groups) {
    if (!group.running) continue;
    observe({"model_recovered",
             {{"model", model},
              {"epoch", group.running->epoch},
              {"digest", wire::digest_text(wire::digest(group.running->placement))}}});
  }
  for (const JournalRecord& record : recovery.aborts) {
    observe({"epoch_aborted",
             {{"model", record.model},
              {"term", record.stamp.term},
              {"epoch", record.stamp.epoch},
              {"reason", record.reason}}});
  }
}

Status Service::open_operators_side(const shell::Curve& curve) {
  const std::string endpoint = settings_.control_endpoint();
  // Over ipc the socket's file says who may: only its owner can write to it.
  EVENKEEL_TRY(control,
               ControlSocket::bind(context_, endpoint, endpoint.starts_with("ipc://") ? shell::Curve{} : curve));
  control_.emplace(std::move(control));
  if (settings_.http.empty()) return {};
  HttpOptions options;
  options.address = settings_.http;
  EVENKEEL_TRY(http, HttpServer::start(options, [this](std::string_view path) { return http_reply(path); }));
  observe({"http_started", {{"port", std::uint64_t{http->port()}}}});
  http_ = std::move(http);
  return {};
}

Result<int> Service::run(shell::StopSignals& signals) {
  shell::notify_service_manager("READY=1");
  std::optional<int> code;
  while (!code) {
    EVENKEEL_TRY_STATUS(serve_once());
    if (signals.take_reload()) reload();
    code = signals.exit_code();
  }
  shell::notify_service_manager("STOPPING=1");
  EVENKEEL_TRY_STATUS(drain(signals));
  const CoreCounters counters = server_->groups().counters();
  observe({"rebalancer_stopped",
           {{"messages_received", server_->traffic().messages_received},
            {"reports_accepted", counters.reports_accepted},
            {"windows_closed", counters.windows_closed},
            {"epochs_committed", counters.epochs_committed},
            {"epochs_aborted", counters.epochs_aborted},
            {"log_lines_suppressed", log_.suppressed()}}});
  for (const auto& [model, core] : server_->groups().cores()) {
    const AgentRegistry& registry = core.registry();
    observe({"totals_counted",
             {{"tokens", registry.tokens()},
              {"counts_digest", wire::digest_text(wire::counts_digest(registry.load_tokens()))},
              {"model", model}}});
  }
  return *code;
}

Status Service::serve_once() {
  const std::array<shell::Socket*, 1> operators{&control_->socket()};
  EVENKEEL_TRY_STATUS(server_->do_work(kLoopWait, operators));
  control_->answer([this](const ControlRequest& request) { return handle(request); });
  board_.answer([this](StatusBoard::Topic topic) { return board_text(topic); });
  const auto now = std::chrono::steady_clock::now();
  if (now - watchdog_at_ >= kWatchdogInterval) {
    watchdog_at_ = now;
    shell::notify_service_manager("WATCHDOG=1");
  }
  return std::exchange(failure_, {});
}

Status Service::drain(shell::StopSignals& signals) {
  is_draining_ = true;
  EVENKEEL_TRY_STATUS(server_->command({Control::Command::kDrain, ""}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(settings_.drain_ms);
  while (!server_->is_settled()) {
    // A second signal means now.
    if (signals.exit_code() || std::chrono::steady_clock::now() >= deadline) {
      observe({"drain_ended_early", {}});
      break;
    }
    EVENKEEL_TRY_STATUS(serve_once());
  }
  return {};
}

void Service::observe(const wire::Note& note) {
  ++counters_.events[note.event];
  log_.write(note);
}

void Service::reload() {
  auto wanted = reread_();
  Status taken = wanted ? take_settings(*std::move(wanted)) : Status(tl::unexpected(wanted.error()));
  ++(taken ? counters_.reloads_done : counters_.reloads_failed);
  if (taken) return observe({"settings_reloaded", {}});
  observe({"reload_failed", {{"reason", told(taken.error())}}});
}

Status Service::take_settings(Settings wanted) {
  EVENKEEL_TRY_STATUS(validate(wanted));
  EVENKEEL_TRY(keys, read_keys(wanted));
  for (const std::string& key : changes_needing_restart(settings_, wanted)) {
    observe({"setting_needs_restart", {{"setting", key}}});
  }
  if (keys.curve.is_on()) server_->replace_keys(std::move(keys.authorised));
  // The first placement is made once, at the start.
  wanted.plan.profile.clear();
  EVENKEEL_TRY(options, core_options(wanted));
  EVENKEEL_TRY_STATUS(server_->reconfigure(options));
  if (wanted.dry_run != settings_.dry_run) EVENKEEL_TRY_STATUS(server_->set_dry_run(wanted.dry_run));
  log_.set_level(wanted.log.level);
  settings_.log.level = wanted.log.level;
  settings_.drain_ms = wanted.drain_ms;
  settings_.dry_run = wanted.dry_run;
  return {};
}

Status Service::authorise(const ControlRequest& request) const {
  const bool has_keys = server_->zap() != nullptr && !settings_.control_endpoint().starts_with("ipc://");
  if (!has_keys || server_->zap()->keys().may_operate(request.user)) return {};
  return invalid_input(
      fmt::format("the key of {} is no operator's; add 'operator' to its line of --authorized-keys", request.user));
}

Result<nlohmann::ordered_json> Service::handle(const ControlRequest& request) {
  using enum Control::Command;
  if (auto may = authorise(request); !may) {
    observe({"control_refused", {{"command", request.command}, {"reason", may.error().message}}});
    return tl::unexpected(may.error());
  }
  if (request.command == "trigger" && server_->frozen()) {
    return invalid_input("the service is frozen; unfreeze it first");
  }
  if (request.command == "dry-run-off" && settings_.dry_run) {
    return invalid_input("the settings ask for a dry run; take dry_run out of them and reload");
  }
  const std::array<std::pair<std::string_view, Control::Command>, 5> commands{{{"freeze", kFreeze},
                                                                               {"unfreeze", kUnfreeze},
                                                                               {"trigger", kTrigger},
                                                                               {"dry-run-on", kDryRunOn},
                                                                               {"dry-run-off", kDryRunOff}}};
  for (const auto& [name, command] : commands) {
    if (name != request.command) continue;
    if (auto done = server_->command({command, request.reason}); !done) {
      failure_ = done;
      return tl::unexpected(done.error());
    }
  }
  return nlohmann::ordered_json{{"ok", true}, {"status", status()}};
}

nlohmann::ordered_json Service::status() const {
  const auto now = std::chrono::steady_clock::now();
  return status_json(*server_, {.uptime = std::chrono::duration_cast<std::chrono::seconds>(now - started_at_),
                                .now = now,
                                .is_draining = is_draining_});
}

std::string Service::board_text(StatusBoard::Topic topic) const {
  if (topic == StatusBoard::Topic::kMetrics) {
    return metrics_text({*server_, counters_, log_.suppressed(), &*control_, http_.get()});
  }
  if (topic == StatusBoard::Topic::kStatus) return status().dump(2) + "\n";
  return is_draining_ ? "draining" : "ready";
}

HttpReply Service::http_reply(std::string_view path) {
  using enum StatusBoard::Topic;
  const std::string plain = "text/plain; charset=utf-8";
  const bool is_metrics = path == "/metrics";
  const bool is_status = path == "/status";
  if (!is_metrics && !is_status && path != "/healthz" && path != "/readyz") {
    return {404, plain, "there are /metrics, /healthz, /readyz and /status\n"};
  }
  const auto text = board_.ask(is_metrics ? kMetrics : is_status ? kStatus : kReady, kAnswerTimeout);
  if (!text) return {503, plain, "the service's loop does not answer\n"};
  if (is_metrics) return {200, "text/plain; version=0.0.4; charset=utf-8", *text};
  if (is_status) return {200, "application/json", *text};
  if (path == "/healthz") return {200, plain, "ok\n"};
  return {*text == "ready" ? 200U : 503U, plain, *text + "\n"};
}

}  // namespace evenkeel::rebalancer
