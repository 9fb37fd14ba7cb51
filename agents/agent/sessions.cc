#include "agents/agent/sessions.h"

#include <algorithm>
#include <utility>

namespace evenkeel::agent {
namespace {

constexpr std::chrono::milliseconds kLastReportWait{3'000};

wire::Note end_note(AgentShell& shell) {
  const AgentCounters& counters = shell.state().counters();
  const TrafficCounters& traffic = shell.traffic();
  return {"agent_stopped",
          {{"hellos_sent", counters.hellos_sent},
           {"reports_sent", counters.reports_sent},
           {"epochs_applied", counters.epochs_applied},
           {"sends_dropped", counters.sends_dropped},
           {"broadcast_gaps", traffic.broadcast_gaps},
           {"messages_malformed", traffic.messages_malformed},
           {"messages_refused", counters.messages_refused},
           {"prepares_late", counters.prepares_late},
           {"contacts_lost", counters.contacts_lost},
           {"path_batches_lost", shell.probe().batches_lost()}}};
}

/// Whether a worker that lives has made a segment of the same name.
bool has_successor(const probe::ProbeReader& ended) {
  const auto probe = probe::ProbeReader::attach(ended.name());
  return probe && probe->incarnation() != ended.incarnation();
}

/// Whether the rebalancer, though it answers, has not taken the last report of a worker that is dead since then.
bool is_answered_in_vain(const AgentState& state, TimePoint dead_since) {
  const auto& contact = state.contact();
  return contact && contact->last - std::max(contact->since, dead_since) >= kLastReportWait;
}

}  // namespace

Status Sessions::add(const std::string& name) {
  EVENKEEL_TRY(probe, probe::ProbeReader::attach(name));
  AgentOptions options{.shape = probe.shape(),
                       .rank = probe.rank(),
                       .world = probe.world(),
                       .incarnation = probe.incarnation(),
                       .term_seen = probe.header().term_seen.load(std::memory_order_relaxed),
                       .reports = probe.header().reports.load(std::memory_order_relaxed),
                       .report_interval = options_.report_interval,
                       .contact_timeout = options_.contact_timeout};
  const std::string worker = probe.worker();
  const wire::Note started{"agent_started",
                           {{"rank", std::uint64_t{probe.rank()}},
                            {"world", std::uint64_t{probe.world()}},
                            {"probe", name},
                            {"incarnation", probe.incarnation()}}};
  AgentState state(std::move(options), std::chrono::steady_clock::now());
  EVENKEEL_TRY(shell, AgentShell::connect(*context_, options_.endpoints, std::move(state), std::move(probe),
                                          [this, worker](const wire::Note& note) { observer_(worker, note); }));
  shells_.push_back(std::move(shell));
  observer_(worker, started);
  return {};
}

bool Sessions::has(const std::string& probe) {
  return std::ranges::any_of(shells_, [&](AgentShell& shell) { return shell.probe().name() == probe; });
}

void Sessions::find(const std::vector<std::string>& names) {
  std::map<std::string, Refused> refused;
  for (const std::string& name : names.empty() ? probe::Segment::list(probe::Segment::Kind::kProbe) : names) {
    if (has(name)) continue;
    const auto segment = probe::Segment::number(probe::Segment::Kind::kProbe, name);
    if (!segment) {
      // Of the machine's, one that went since they were listed.
      if (!names.empty() && awaited_.insert(name).second) observer_(name, {"probe_awaited", {}});
      continue;
    }
    const auto is_new = has_new_worker(name);
    const Status added = !is_new ? Status(tl::unexpected(is_new.error())) : *is_new ? add(name) : Status{};
    if (added) continue;
    const auto before = refused_.find(name);
    const bool is_same = before != refused_.end() && before->second.segment == *segment;
    const int looks = is_same ? before->second.looks + 1 : 1;
    // At the first, a worker may still be making it.
    if (looks == 2) observer_(name, {"probe_refused", {{"reason", added.error().message}}});
    refused.insert_or_assign(name, Refused{*segment, looks});
  }
  refused_ = std::move(refused);
}

Result<bool> Sessions::has_new_worker(const std::string& name) {
  EVENKEEL_TRY(probe, probe::ProbeReader::attach(name));
  return done_[name] != probe.incarnation();
}

void Sessions::do_work(std::chrono::milliseconds timeout) {
  std::vector<shell::Socket*> sockets;
  for (AgentShell& shell : shells_) shell.add_sockets(sockets);
  shell::Socket::wait(sockets, timeout);
  for (AgentShell& shell : shells_) shell.do_work();
}

bool Sessions::is_over(AgentShell& shell, TimePoint now) {
  probe::ProbeReader& probe = shell.probe();
  const bool is_alive = probe.is_alive();
  if (!is_alive) {
    const auto [since, is_new] = dead_since_.try_emplace(probe.name(), now);
    if (is_new) observer_(probe.worker(), {"worker_lost", {{"incarnation", probe.incarnation()}}});
    if (shell.is_all_told()) return true;
    if (is_answered_in_vain(shell.state(), since->second) && has_successor(probe)) {
      observer_(probe.worker(), {"worker_given_up", {{"incarnation", probe.incarnation()}}});
      return true;
    }
  }
  return shell.state().fenced();
}

void Sessions::end_what_is_over() {
  const TimePoint now = std::chrono::steady_clock::now();
  shells_.remove_if([&](AgentShell& shell) {
    if (!is_over(shell, now)) return false;
    observer_(shell.probe().worker(), end_note(shell));
    if (shell.is_all_told()) shell.probe().remove_if_dead();
    done_[shell.probe().name()] = shell.probe().incarnation();
    dead_since_.erase(shell.probe().name());
    return true;
  });
}

void Sessions::set_intervals(std::chrono::milliseconds report_interval, std::chrono::milliseconds contact_timeout) {
  options_.report_interval = report_interval;
  options_.contact_timeout = contact_timeout;
  for (AgentShell& shell : shells_) shell.set_intervals(report_interval, contact_timeout);
}

void Sessions::stop() {
  for (AgentShell& shell : shells_) observer_(shell.probe().worker(), end_note(shell));
}

}  // namespace evenkeel::agent
