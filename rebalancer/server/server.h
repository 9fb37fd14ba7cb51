#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "agents/shell/zmq_adapter.h"
#include "agents/wire/note.h"
#include "partition/foundation/result.h"
#include "rebalancer/core/groups.h"
#include "rebalancer/net/authorised_keys.h"
#include "rebalancer/net/connection_guard.h"
#include "rebalancer/net/zap_handler.h"
#include "rebalancer/solver/planner.h"
#include "rebalancer/store/journal.h"

namespace evenkeel::rebalancer {

struct TrafficCounters {
  std::uint64_t messages_received = 0;
  std::uint64_t messages_malformed = 0;
  /// More frames than a message has.
  std::uint64_t messages_too_many_frames = 0;
  /// For a worker that the sender's key does not speak for.
  std::uint64_t messages_unauthorised = 0;
  /// To a peer that is gone.
  std::uint64_t sends_without_peer = 0;
  /// To a peer that does not keep up.
  std::uint64_t sends_dropped = 0;
  std::uint64_t journal_writes = 0;
  double journal_write_seconds = 0;
};

/// Carries messages between the cores, their agents, the journal and the planner. Holds no rules. One thread.
class Server {
 public:
  using Observer = std::function<void(const wire::Note&)>;
  struct Endpoints {
    std::string bind;
    std::string publish;
  };

  /// Fails with kInvalidInput where an endpoint cannot be bound. With keys, only those that are authorised get in.
  [[nodiscard]] static Result<Server> start(shell::SocketContext& context, const Endpoints& endpoints, Groups groups,
                                            Journal journal, PlannerOptions planner, Observer observer, Keys keys = {});

  /// Waits at most `timeout` for a message, here or on one of the other sockets, and takes up to 256. Fails with
  /// kFailure where the journal cannot be written: nothing may be decided without it, so the program must end.
  [[nodiscard]] Status do_work(std::chrono::milliseconds timeout, std::span<shell::Socket* const> others = {});

  /// Carries out what an operator asks. A wish that lasts is in the journal before it is acted on, and start() takes it
  /// up again. Fails as do_work().
  [[nodiscard]] Status command(const Control& control);
  [[nodiscard]] Status reconfigure(const CoreOptions& options);
  /// No agent of any group waits for anything.
  [[nodiscard]] bool is_settled() const;
  /// Why nothing is migrated; none while something may be.
  [[nodiscard]] const std::optional<std::string>& frozen() const { return frozen_; }
  [[nodiscard]] bool is_dry_run() const { return is_dry_run_; }
  /// What the settings say, unless an operator wishes for a dry run anyway.
  [[nodiscard]] Status set_dry_run(bool is_wanted);
  /// Only where the server was started with keys.
  void replace_keys(AuthorisedKeys keys);

  [[nodiscard]] const Groups& groups() const { return groups_; }
  [[nodiscard]] const TrafficCounters& traffic() const { return traffic_; }
  [[nodiscard]] const ConnectionGuard& connections() const { return *guard_; }
  [[nodiscard]] const ConnectionGuard& subscribers() const { return *subscriber_guard_; }
  /// None where peers are not authenticated.
  [[nodiscard]] const ZapHandler* zap() const { return zap_ ? &*zap_ : nullptr; }

 private:
  Server(Groups groups, Journal journal, Planner planner, Observer observer, std::optional<ZapHandler> zap,
         shell::Socket router, std::unique_ptr<ConnectionGuard> guard, shell::Socket publisher,
         std::unique_ptr<ConnectionGuard> subscriber_guard);

  [[nodiscard]] Status take_up_wishes();
  [[nodiscard]] Status take_messages();
  /// Tells who has sent it.
  [[nodiscard]] Result<ConnectionGuard::Sender> take_message(const shell::Incoming& incoming);
  [[nodiscard]] bool is_of_agent(const Received& received) const;
  void drop(std::uint64_t& counter, std::string reason);
  [[nodiscard]] Status perform(Actions actions);
  [[nodiscard]] Status write(const Write& action);
  void send(const Send& action);
  void broadcast(const Broadcast& action);

  Groups groups_;
  Journal journal_;
  Planner planner_;
  Observer observer_;
  // Before the sockets: it must be there when they bind.
  std::optional<ZapHandler> zap_;
  shell::Socket router_;
  std::unique_ptr<ConnectionGuard> guard_;
  shell::Socket publisher_;
  std::unique_ptr<ConnectionGuard> subscriber_guard_;
  std::optional<std::string> frozen_;
  bool is_dry_run_ = false;
  TimePoint ticked_at_{};
  std::uint64_t sent_ = 0;
  /// By model: an agent hears one model's alone, and takes a jump for a loss.
  std::map<std::string, std::uint64_t> broadcasts_;
  TrafficCounters traffic_;
};

}  // namespace evenkeel::rebalancer
