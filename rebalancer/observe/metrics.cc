#include "rebalancer/observe/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <utility>
#include <vector>

namespace evenkeel::rebalancer {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

double number(std::uint64_t count) { return static_cast<double>(count); }

/// One metric with its values by label.
class Family {
 public:
  Family(std::string name, std::string help, prometheus::MetricType type) {
    family_.name = "evenkeel_" + std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  Family& value(double value, Labels labels = {}) & {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    (family_.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    family_.metric.push_back(std::move(metric));
    return *this;
  }
  Family&& value(double v, Labels labels = {}) && { return std::move(value(v, std::move(labels))); }
  /// Under the one label `label`.
  Family&& by(const char* label, std::vector<std::pair<const char*, std::uint64_t>> counts) && {
    for (const auto& [name, count] : counts) value(number(count), {{label, name}});
    return std::move(*this);
  }
  /// How often and for how long in all.
  Family&& sum(std::uint64_t count, double seconds) && {
    prometheus::ClientMetric metric;
    metric.summary.sample_count = count;
    metric.summary.sample_sum = seconds;
    family_.metric.push_back(std::move(metric));
    return std::move(*this);
  }

  [[nodiscard]] prometheus::MetricFamily take() && { return std::move(family_); }

 private:
  prometheus::MetricFamily family_;
};

using Families = std::vector<prometheus::MetricFamily>;

Family counter(const char* name, const char* help) { return {name, help, prometheus::MetricType::Counter}; }
Family gauge(const char* name, const char* help) { return {name, help, prometheus::MetricType::Gauge}; }

void add(Families& families, Family&& family) { families.push_back(std::move(family).take()); }

/// By model: how many there may be is a setting.
void add_models(Families& out, const Groups& groups) {
  const TimePoint now = std::chrono::steady_clock::now();
  Family agents = gauge("agents", "Agents by whether they were heard from within the lease");
  Family epoch = gauge("epoch", "Committed epoch");
  Family tokens = counter("tokens_total", "Tokens that agents have reported");
  Family imbalance = gauge("imbalance_ratio", "Mean over layers of max / mean GPU load, on the window decided last");
  Family drift = gauge("drift_ratio", "How far the window decided last was from what was expected");
  for (const auto& [model, core] : groups.cores()) {
    const auto& known = core.registry().agents();
    const auto lease = core.options().lease;
    const auto present = static_cast<std::uint64_t>(
        std::ranges::count_if(known, [&](const auto& entry) { return now - entry.second.heard_at <= lease; }));
    for (const auto& [state, count] : {std::pair{"expected", std::uint64_t{core.registry().world()}},
                                       std::pair{"present", present}, std::pair{"silent", known.size() - present}}) {
      agents.value(number(count), {{"model", model}, {"state", state}});
    }
    if (core.running()) epoch.value(number(core.running()->epoch), {{"model", model}});
    tokens.value(number(core.registry().tokens()), {{"model", model}});
    if (!core.decided()) continue;
    imbalance.value(core.decided()->imbalance, {{"model", model}});
    drift.value(core.decided()->drift, {{"model", model}});
  }
  for (Family* family : {&agents, &epoch, &tokens, &imbalance, &drift}) add(out, std::move(*family));
}

void add_decisions(Families& out, const CoreCounters& c) {
  add(out, counter("windows_closed_total", "Windows of counts that have ended").value(number(c.windows_closed)));
  add(out, counter("decisions_total", "Decisions by verdict")
               .by("verdict", {{"keep", c.decisions_keep}, {"adopt", c.decisions_adopt}}));
  add(out, counter("plans_failed_total", "Solvers that failed, were stopped or crashed").value(number(c.plans_failed)));
  add(out, counter("epochs_total", "Epochs by how far they came")
               .by("outcome", {{"prepared", c.epochs_prepared},
                               {"committed", c.epochs_committed},
                               {"aborted", c.epochs_aborted},
                               {"retired", c.epochs_retired}}));
  add(out, counter("chains_dropped_total", "Migrations of which not all epochs were carried out")
               .value(number(c.chains_dropped)));
}

void add_core(Families& out, const Server& server) {
  const CoreCounters c = server.groups().counters();
  add(out, gauge("term", "Number of this leadership").value(number(server.groups().term())));
  add(out, gauge("frozen", "1 while nothing is migrated").value(server.frozen() ? 1 : 0));
  add(out, gauge("dry_run", "1 while plans are told but not carried out").value(server.is_dry_run() ? 1 : 0));
  add(out, counter("hellos_total", "HELLO messages by what became of them")
               .by("result", {{"accepted", c.hellos_accepted}, {"refused", c.hellos_refused}}));
  add(out, counter("reports_total", "Reports of counts by what became of them")
               .by("result", {{"accepted", c.reports_accepted},
                              {"stale", c.reports_stale},
                              {"implausible", c.reports_implausible},
                              {"refused", c.reports_refused - c.reports_implausible}}));
  add(out, counter("paths_received_total", "Batches of sampled token paths").value(number(c.paths_received)));
  add(out, counter("paths_missed_total", "Batches of sampled token paths that never came or came late")
               .value(number(c.paths_missed)));
  Family losses = counter("agent_losses_total", "What agents say was lost or turned away on their side");
  for (std::size_t i = 0; i < wire::kLosses; ++i) {
    losses.value(number(c.agent_losses.counts[i]),
                 {{"loss", std::string(wire::loss_name(static_cast<wire::Loss>(i)))}});
  }
  add(out, std::move(losses));
  add(out, counter("messages_resent_total", "PREPARE and COMMIT messages repeated for want of an answer")
               .value(number(c.messages_resent)));
  add(out, counter("refusals_received_total", "Commands that an agent refused").value(number(c.refusals_received)));
  add_decisions(out, c);
}

void add_traffic(Families& out, const Server& server) {
  const TrafficCounters& t = server.traffic();
  const CoreCounters c = server.groups().counters();
  add(out, counter("messages_received_total", "Whole messages of agents").value(number(t.messages_received)));
  add(out, counter("messages_dropped_total", "Messages of agents that were not acted on")
               .by("reason", {{"malformed", t.messages_malformed},
                              {"too_many_frames", t.messages_too_many_frames},
                              {"unauthorised", t.messages_unauthorised},
                              {"unknown_agent", c.messages_from_unknown},
                              {"late", c.messages_late},
                              {"unexpected", c.messages_unexpected}}));
  add(out, counter("sends_dropped_total", "Messages to agents that could not be handed over")
               .by("reason", {{"queue_full", t.sends_dropped}, {"no_peer", t.sends_without_peer}}));
  Family writes("journal_write_seconds", "Writes of decisions to the disk", prometheus::MetricType::Summary);
  add(out, std::move(writes).sum(t.journal_writes, t.journal_write_seconds));
}

void add_connections(Families& out, const MetricSources& sources) {
  const Server& server = sources.server;
  const ConnectionCounters c = server.connections().counters();
  ConnectionCounters all = c;
  all += server.subscribers().counters();
  if (sources.control && sources.control->connections()) all += sources.control->connections()->counters();
  add(out, gauge("connections", "Connections of agents there are").value(number(server.connections().connections())));
  add(out, counter("connections_total", "Connections of agents by how far they came")
               .by("event", {{"accepted", c.accepted},
                             {"ready", c.ready},
                             {"closed", c.closed},
                             {"closed_without_message", c.closed_without_message}}));
  add(out,
      counter("connections_refused_total",
              "Connections, of subscribers and operators too, that never became ready or were ended, by the reason")
          .by("reason", {{"key", all.refused_key},
                         {"protocol", all.refused_protocol},
                         {"handshake", all.handshakes_failed},
                         {"unfinished_message", all.ended_unfinished},
                         {"too_many", all.ended_too_many},
                         {"unauthorised", all.ended_unauthorised}}));
  if (const ZapHandler* zap = server.zap()) {
    add(out, counter("authorisations_total", "Keys that ZeroMQ asked about")
                 .by("result", {{"admitted", zap->admitted()}, {"refused", zap->refused()}}));
    add(out, gauge("authorised_keys", "Keys that may connect").value(number(zap->keys().keys())));
  }
}

void add_service(Families& out, const MetricSources& sources) {
  const ServiceCounters& s = sources.service;
  add(out, gauge("build_info", "Always 1; the version is the label").value(1, {{"version", EVENKEEL_VERSION}}));
  Family events = counter("events_total", "What was noted in the log, by event");
  for (const auto& [event, count] : s.events) events.value(number(count), {{"event", event}});
  add(out, std::move(events));
  add(out, counter("reloads_total", "Settings read again on SIGHUP")
               .by("result", {{"done", s.reloads_done}, {"failed", s.reloads_failed}}));
  add(out, counter("log_lines_suppressed_total", "Lines beyond the most a second")
               .value(number(sources.log_lines_suppressed)));
  if (sources.control) {
    Family requests = counter("control_requests_total", "Requests of operators");
    for (const auto& [what, count] : sources.control->counters()) {
      requests.value(number(count), {{"command", what.first}, {"result", what.second}});
    }
    add(out, std::move(requests));
  }
  if (sources.http) {
    const HttpCounters& h = sources.http->counters();
    add(out, counter("http_requests_total", "HTTP requests by what became of them")
                 .by("result", {{"answered", h.answered},
                                {"refused", h.refused},
                                {"malformed", h.malformed},
                                {"timed_out", h.timed_out}}));
    add(out, counter("http_connections_refused_total", "HTTP connections beyond the most at once")
                 .value(number(h.connections_refused)));
  }
}

/// By the name that every Prometheus client gives it.
void add_process(Families& out) {
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  auto memory = gauge("", "Resident memory").value(number(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  prometheus::MetricFamily family = std::move(memory).take();
  family.name = "process_resident_memory_bytes";
  out.push_back(std::move(family));
}

}  // namespace

std::string metrics_text(const MetricSources& sources) {
  Families families;
  add_service(families, sources);
  add_models(families, sources.server.groups());
  add_core(families, sources.server);
  add_traffic(families, sources.server);
  add_connections(families, sources);
  add_process(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace evenkeel::rebalancer
