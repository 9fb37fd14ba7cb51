#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/agent/agent_shell.h"
#include "agents/shell/zmq_adapter.h"
#include "agents/wire/note.h"
#include "partition/foundation/result.h"

namespace evenkeel::agent {

struct SessionOptions {
  Endpoints endpoints;
  std::chrono::milliseconds report_interval{1'000};
  std::chrono::milliseconds contact_timeout{3'000};
};

/// The workers that one agent stands beside: a connection of its own for each, because the rebalancer answers workers.
/// One thread.
class Sessions {
 public:
  using Observer = std::function<void(const std::string& worker, const wire::Note&)>;

  Sessions(shell::SocketContext& context, SessionOptions options, Observer observer)
      : context_(&context), options_(std::move(options)), observer_(std::move(observer)) {}

  /// Stands beside the worker of this segment. Fails as ProbeReader::attach() and AgentShell::connect().
  [[nodiscard]] Status add(const std::string& probe);
  /// Stands beside every worker that is named, or of the machine where none is, has none of these sessions and is not
  /// done with: beside a dead one too, whose agent may have died before it had told the rest. Says once of each segment
  /// that it cannot be read, and of each name that has none yet.
  void find(const std::vector<std::string>& names);
  /// Waits at most `timeout` for a message, then lets every session work.
  void do_work(std::chrono::milliseconds timeout);
  /// Ends the sessions of workers that are gone, once the rebalancer has what they counted on its disk; or when it has
  /// answered other things for three seconds, where a worker that lives has taken the name. Ends those that are fenced.
  void end_what_is_over();
  /// Of all sessions, those to come too.
  void set_intervals(std::chrono::milliseconds report_interval, std::chrono::milliseconds contact_timeout);
  /// Writes a last note of each session.
  void stop();

  [[nodiscard]] std::list<AgentShell>& all() { return shells_; }

 private:
  [[nodiscard]] bool has(const std::string& probe);
  /// Whether there is a worker, living or dead, that is not done with. Fails as ProbeReader::attach().
  [[nodiscard]] Result<bool> has_new_worker(const std::string& probe);
  /// Whether a session has nothing more to do. Says what becomes of its worker.
  [[nodiscard]] bool is_over(AgentShell& shell, TimePoint now);

  shell::SocketContext* context_;
  SessionOptions options_;
  Observer observer_;
  std::list<AgentShell> shells_;
  /// Since when a probe's worker is gone, and the incarnation of each name that is done with.
  std::map<std::string, TimePoint> dead_since_;
  std::map<std::string, std::uint64_t> done_;
  /// Names that had no segment at some look.
  std::set<std::string> awaited_;
  /// Segments that could not be read at the last look, and at how many in a row.
  struct Refused {
    std::uint64_t segment;
    int looks;
  };
  std::map<std::string, Refused> refused_;
};

}  // namespace evenkeel::agent
