#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "agents/wire/message.h"
#include "agents/wire/note.h"
#include "partition/model/grid.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel::agent {

using TimePoint = std::chrono::steady_clock::time_point;

struct AgentOptions {
  ModelShape shape;
  /// Which of `world` workers this is. Range [0, world).
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  /// Names the life of the counters; must rise each time they start again from zero.
  std::uint64_t incarnation = 0;
  /// How stale the rebalancer's counts may be. Above 0.
  std::chrono::milliseconds report_interval{500};
  /// First wait before a HELLO is repeated; doubles up to the largest.
  std::chrono::milliseconds hello_interval{200};
  std::chrono::milliseconds hello_interval_max{2000};
  /// Silence after which the rebalancer counts as gone. A few report intervals.
  std::chrono::milliseconds contact_timeout{3000};
};

/// Exact counts since the incarnation began.
struct Counts {
  std::uint64_t tokens = 0;
  /// Tokens routed to each logical expert [layers, experts].
  Grid<std::uint64_t> load_tokens;
};

/// What the shell must do, in order.
struct Send {
  wire::Message message;
};
/// Have the worker load this placement beside the running one, and call loaded() when it has.
struct Load {
  wire::Stamp stamp;
  Placement placement;
};
/// Have the worker route with the placement it was given by Load, or with this one if it never was.
struct Apply {
  wire::Stamp stamp;
  Placement placement;
};
/// Have the worker forget what it loaded.
struct Discard {
  wire::Stamp stamp;
};
using Action = std::variant<Send, Load, Apply, Discard, wire::Note>;
using Actions = std::vector<Action>;

struct AgentCounters {
  std::uint64_t hellos_sent = 0;
  std::uint64_t reports_sent = 0;
  std::uint64_t epochs_applied = 0;
  std::uint64_t messages_refused = 0;
  std::uint64_t refusals_received = 0;
  std::uint64_t messages_unexpected = 0;
  std::uint64_t contacts_lost = 0;
};

/// Every rule an agent follows: which commands it obeys, when it asks and when it reports. Pure: bytes, time and counts
/// are arguments. It never decides on a placement by itself: without contact it keeps what it has and asks.
/// Not thread-safe. Cost: one comparison of maps a command. Cannot fail: what it refuses it answers and counts.
class AgentState {
 public:
  AgentState(AgentOptions options, TimePoint now);

  /// Takes one message from the rebalancer, from either socket, any number of times in any order.
  [[nodiscard]] Actions on_message(const wire::Message& message, TimePoint now);
  /// The worker has loaded what Load named.
  [[nodiscard]] Actions loaded(const wire::Stamp& stamp);
  /// Broadcasts were lost: ask what was missed.
  [[nodiscard]] Actions on_gap(TimePoint now);
  /// To be called often; sends HELLO and reports when they are due.
  [[nodiscard]] Actions tick(TimePoint now, const Counts& counts);

  /// The placement in force and its stamp; none before the first snapshot.
  struct Held {
    wire::Stamp stamp;
    Placement placement;
    std::uint64_t digest;
  };
  [[nodiscard]] const std::optional<Held>& committed() const { return committed_; }
  [[nodiscard]] const std::optional<Held>& prepared() const { return prepared_; }
  /// A newer incarnation of this worker has taken over; this one stays silent.
  [[nodiscard]] bool fenced() const { return fenced_; }
  [[nodiscard]] const AgentCounters& counters() const { return counters_; }

 private:
  void handle(const wire::Snapshot& snapshot, TimePoint now);
  void handle(const wire::ReportAck& ack, TimePoint now);
  void handle(const wire::Prepare& prepare, TimePoint now);
  void handle(const wire::Commit& commit, TimePoint now);
  void handle(const wire::Retire& retire, TimePoint now);
  void handle(const wire::Abort& abort, TimePoint now);
  void handle(const wire::Refusal& refusal, TimePoint now);
  /// Messages that only agents send.
  template <class Other>
  void handle(const Other&, TimePoint) {
    ++counters_.messages_unexpected;
  }

  /// Whether a leader of this term may still command; remembers the highest.
  [[nodiscard]] bool accepts_term(const wire::Stamp& stamp, std::string_view about);
  [[nodiscard]] bool accepts_shape(const Placement& placement, std::string_view about);
  void refuse(wire::RefusalReason reason, std::string_view about, std::string detail);
  void ask(TimePoint now);
  void apply(Held held);
  void discard_prepared();
  void note(std::string event, const wire::Stamp& stamp, std::uint64_t digest);
  void send_hello(TimePoint now);
  void send_report(TimePoint now, const Counts& counts);
  void send_applied();
  [[nodiscard]] Actions take_actions();

  AgentOptions options_;
  std::optional<Held> committed_;
  std::optional<Held> prepared_;
  bool prepared_is_loaded_ = false;
  std::uint64_t term_seen_ = 0;
  bool fenced_ = false;

  bool asking_ = true;
  std::chrono::milliseconds hello_wait_;
  TimePoint next_hello_;
  TimePoint next_report_;
  TimePoint last_contact_;
  std::uint64_t reports_ = 0;

  Actions actions_;
  AgentCounters counters_;
};

}  // namespace evenkeel::agent
