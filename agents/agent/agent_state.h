#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "agents/probe/probe_reader.h"
#include "agents/wire/message.h"
#include "agents/wire/note.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel::agent {

using TimePoint = std::chrono::steady_clock::time_point;

struct AgentOptions {
  ModelShape shape;
  /// Which of `world` workers this is. Range [0, world); both are 0 in an observer.
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  /// Names the life of the counters; must rise each time they start again from zero.
  std::uint64_t incarnation = 0;
  /// What an earlier agent of this incarnation left: its highest term, its reports.
  std::uint64_t term_seen = 0;
  std::uint64_t reports = 0;
  /// How stale the rebalancer's counts may be. Above 0.
  std::chrono::milliseconds report_interval{1000};
  /// Between reports while the worker stands at a window's end, where a lost one would cost it time.
  std::chrono::milliseconds window_report_interval{20};
  /// First wait before a HELLO is repeated; doubles up to the largest.
  std::chrono::milliseconds hello_interval{200};
  std::chrono::milliseconds hello_interval_max{2000};
  /// Silence after which the rebalancer counts as gone; where it is shorter than three report intervals, those, because
  /// reports alone are answered.
  std::chrono::milliseconds contact_timeout{3000};
};

/// What the worker shows without its counts.
struct WorkerView {
  probe::WorkerEpochs epochs;
  /// Windows completed in its last publication.
  std::uint64_t window = 0;
  /// It is gone, or has played everything: it publishes nothing more.
  bool has_ended = false;
};

/// What the shell must do, in order.
struct Send {
  wire::Message message;
};
/// Have the worker load this placement beside the running one.
struct Load {
  wire::Stamp stamp;
  /// What the copies start from; absent: the worker loads whatever it lacks.
  std::optional<std::uint64_t> base_epoch;
  std::uint64_t digest = 0;
  Placement placement;
  std::vector<wire::Copy> copies;
  std::uint32_t chain_left = 0;
};
/// The epoch is committed: the worker may switch to it when all ranks hold it.
struct Allow {
  wire::Stamp stamp;
};
/// Have the worker forget what it loaded.
struct Discard {
  wire::Stamp stamp;
};
/// All ranks run the epoch: what only older ones need may go.
struct Release {
  std::uint64_t epoch = 0;
};
/// Decisions for windows 0 to `windows` - 1 are over.
struct Decided {
  std::uint64_t windows = 0;
};
using Action = std::variant<Send, Load, Allow, Discard, Release, Decided, wire::Note>;
using Actions = std::vector<Action>;

struct AgentCounters {
  std::uint64_t hellos_sent = 0;
  std::uint64_t reports_sent = 0;
  /// Switches of the worker that this agent has seen.
  std::uint64_t epochs_applied = 0;
  /// PREPARE that came before the worker had switched to its base.
  std::uint64_t prepares_early = 0;
  /// PREPARE of an epoch that is committed, or that a later one has taken the place of: it was long on the way.
  std::uint64_t prepares_late = 0;
  std::uint64_t messages_refused = 0;
  std::uint64_t refusals_received = 0;
  std::uint64_t messages_unexpected = 0;
  std::uint64_t contacts_lost = 0;
  /// Messages that found no room while the rebalancer answered.
  std::uint64_t sends_dropped = 0;
};

/// Every rule an agent follows: which commands it obeys, when it asks and when it reports. Pure: bytes, time and what
/// the worker shows are arguments. It never decides on a placement by itself: without contact the worker keeps what it
/// has, and the agent asks. Nor does it switch: it tells the worker what may be switched to, and the rebalancer what
/// was. Not thread-safe. Cost: one comparison of maps a command. Cannot fail: what it refuses it answers and counts.
class AgentState {
 public:
  AgentState(AgentOptions options, TimePoint now);

  /// Takes one message from the rebalancer, from either socket, any number of times in any order.
  [[nodiscard]] Actions on_message(const wire::Message& message, TimePoint now);
  /// The worker has no room for what Load named.
  [[nodiscard]] Actions cannot_load(const wire::Stamp& stamp, std::string detail);
  /// A message that it had sent found no room in the queue. Counted only when the rebalancer answers again and has not
  /// been away meanwhile: to one that is away nothing can be sent.
  void on_dropped();
  /// Broadcasts were lost: ask what was missed.
  [[nodiscard]] Actions on_gap(TimePoint now);
  /// To be called often: looks at what the worker has done and says HELLO when it is due.
  [[nodiscard]] Actions tick(TimePoint now, const WorkerView& worker);
  /// From the next report and the next look on.
  void set_intervals(std::chrono::milliseconds report_interval, std::chrono::milliseconds contact_timeout);
  /// Whether the counts are to be read now and given to report().
  [[nodiscard]] bool is_report_due(TimePoint now, const WorkerView& worker) const;
  [[nodiscard]] Actions report(TimePoint now, probe::Tally tally, const wire::Losses& losses, bool is_last = false);

  /// The committed placement and its stamp, which the worker runs or will; none before the first snapshot.
  struct Held {
    wire::Stamp stamp;
    Placement placement;
    std::uint64_t digest;
  };
  [[nodiscard]] const std::optional<Held>& committed() const { return committed_; }
  [[nodiscard]] const std::optional<Held>& prepared() const { return prepared_; }
  /// What the worker routes with.
  [[nodiscard]] const std::optional<probe::WorkerEpochs::Running>& running() const { return running_; }
  [[nodiscard]] std::uint64_t term_seen() const { return term_seen_; }
  [[nodiscard]] std::uint64_t reports() const { return reports_; }
  /// The rebalancer has what the ended worker counted on its disk, or will never take it.
  [[nodiscard]] bool is_last_answered() const { return is_last_answered_; }
  /// Since when the rebalancer answers without a break, and its last answer; none before the first, and while an agent
  /// that had one asks again. A refusal is an answer too, unless it says that this agent must ask again.
  struct Contact {
    TimePoint since;
    TimePoint last;
  };
  [[nodiscard]] const std::optional<Contact>& contact() const { return contact_; }
  /// The rebalancer knows a newer incarnation of this worker; this one stays silent.
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
  [[nodiscard]] bool accepts_shape(const Placement& placement, const wire::Stamp& stamp, std::string_view about);
  /// `about` is the type and `stamp` the stamp of the refused message.
  void refuse(wire::RefusalReason reason, std::string_view about, const wire::Stamp& stamp, std::string detail);
  void ask(TimePoint now);
  void hear(TimePoint now);
  void forget_contact();
  void look_at(const WorkerView& worker);
  void commit(Held held);
  [[nodiscard]] std::optional<std::uint64_t> epoch_known() const;
  void discard_prepared();
  void note(std::string event, const wire::Stamp& stamp, std::uint64_t digest);
  void send_hello(TimePoint now);
  void send_applied();
  [[nodiscard]] Actions take_actions();

  AgentOptions options_;
  std::optional<Held> committed_;
  std::optional<Held> prepared_;
  bool prepared_is_loaded_ = false;
  std::optional<probe::WorkerEpochs::Running> running_;
  /// Highest epoch that every rank runs, as far as it was told.
  std::optional<std::uint64_t> retired_;
  std::uint64_t term_seen_;
  bool fenced_ = false;

  bool asking_ = true;
  std::chrono::milliseconds hello_wait_;
  TimePoint next_hello_;
  TimePoint next_report_;
  TimePoint last_contact_;
  std::optional<Contact> contact_;
  /// Since the last answer.
  std::uint64_t drops_unanswered_ = 0;
  std::uint64_t reports_;
  /// Windows in the last report.
  std::uint64_t reported_window_ = 0;
  std::uint64_t windows_decided_ = 0;
  /// The first report of an ended worker.
  std::optional<std::uint64_t> last_in_;
  bool is_last_answered_ = false;

  Actions actions_;
  AgentCounters counters_;
};

}  // namespace evenkeel::agent
