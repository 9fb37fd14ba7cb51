#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agents/wire/message.h"
#include "agents/wire/note.h"
#include "partition/adaptive/policy.h"
#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/model/routing_profile.h"
#include "rebalancer/core/agent_registry.h"
#include "rebalancer/core/control.h"
#include "rebalancer/core/recovery.h"

namespace evenkeel::rebalancer {

struct CoreOptions {
  Cluster cluster;
  /// Spare slots a layer, over all GPUs.
  std::size_t redundant = 0;
  /// Agents of the EP group; nothing is planned until all are there. Range [1, 10,000].
  std::uint32_t agents_expected = 1;
  /// Tokens that must be new since the last plan, and that a window of --window-steps needs. One batch tells nothing:
  /// at 64 experts, top-6, 10,000 tokens put about 1,000 on an expert, a standard error of 3 %.
  std::uint64_t tokens_min = 10'000;
  /// A window ends after so many steps; 0: where the workers say that one does, as replays do.
  std::uint64_t window_steps = 1'000;
  /// Least time from one plan to the next.
  std::chrono::milliseconds interval_min{5'000};
  /// When to plan and what to adopt. Its cluster is the one above.
  PolicyOptions policy;
  /// Placement of epoch 0, and loads known beforehand, from a stored profile; absent: contiguous, and none.
  std::optional<Placement> first_placement;
  std::vector<StageLoad> known_loads;
  CountLimits count_limits;
  /// Time the workers have to load an epoch before it is given up.
  std::chrono::milliseconds prepare_timeout{30'000};
  /// First wait before a PREPARE or COMMIT that is not acknowledged is repeated; doubles up to the largest, because a
  /// worker that takes a minute to load need not get the map 200 times.
  std::chrono::milliseconds resend_interval{300};
  std::chrono::milliseconds resend_interval_max{5'000};
  /// Silence after which an agent counts as absent; several report intervals.
  std::chrono::milliseconds lease{5'000};
  /// Migrations this process may commit; absent: no limit.
  std::optional<std::uint64_t> migrations_max;

  /// Fails with kInvalidInput, naming the option, its value and the range.
  [[nodiscard]] Status validate() const;
  /// These with what a running service can take of other options; all else takes a restart.
  [[nodiscard]] CoreOptions reloaded(const CoreOptions& wanted) const;
};

/// A message as it came in; `peer` is where an answer goes.
struct Received {
  std::string peer;
  std::string worker;
  std::string model;
  wire::Message message;
};
/// The solver's answer to StartPlanning.
struct PlanReady {
  std::string model;
  std::uint64_t plan = 0;
  Result<Placement> placement;
  double solve_seconds = 0;
};
/// Time has passed.
struct Tick {};
/// Options have been read again. Those that a running service can take are taken: CoreOptions::reloaded().
struct Reconfigured {
  CoreOptions options;
};
using Event = std::variant<Received, PlanReady, Tick, Control, Reconfigured>;

/// What the shell must do, in order. After a failed Write nothing later may happen.
struct Send {
  std::string peer;
  std::string model;
  wire::Message message;
};
struct Broadcast {
  std::string model;
  wire::Message message;
};
/// To be on the disk, all or nothing, before the next action.
struct Write {
  std::vector<JournalRecord> records;
};
/// To be on the disk before the next action, for people.
struct WriteDecision {
  DecidedRecord record;
};
/// To be on the disk, all or nothing, before the next action.
struct WriteTotals {
  std::vector<TotalRecord> records;
};
/// To be answered by PlanReady, also where the solver fails.
struct StartPlanning {
  std::string model;
  std::uint64_t plan = 0;
  PlanRequest request;
};
using Action = std::variant<Send, Broadcast, Write, WriteDecision, WriteTotals, StartPlanning, wire::Note>;
using Actions = std::vector<Action>;

struct CoreCounters {
  std::uint64_t hellos_accepted = 0;
  std::uint64_t hellos_refused = 0;
  std::uint64_t reports_accepted = 0;
  std::uint64_t reports_stale = 0;
  std::uint64_t reports_refused = 0;
  /// Of them, those that say what no worker can count.
  std::uint64_t reports_implausible = 0;
  std::uint64_t paths_received = 0;
  /// Batches of them that their numbers say are missing.
  std::uint64_t paths_missed = 0;
  /// What agents say was lost on their side, since this process knows them.
  wire::Losses agent_losses;
  std::uint64_t messages_from_unknown = 0;
  std::uint64_t messages_late = 0;
  std::uint64_t messages_unexpected = 0;
  std::uint64_t refusals_received = 0;
  std::uint64_t messages_resent = 0;
  std::uint64_t windows_closed = 0;
  std::uint64_t decisions_keep = 0;
  std::uint64_t decisions_adopt = 0;
  /// Plans that led to nothing: a solver that failed, was stopped or crashed.
  std::uint64_t plans_failed = 0;
  std::uint64_t epochs_prepared = 0;
  std::uint64_t epochs_committed = 0;
  std::uint64_t epochs_aborted = 0;
  std::uint64_t epochs_retired = 0;
  /// Adopted chains of which not all epochs were carried out.
  std::uint64_t chains_dropped = 0;

  CoreCounters& operator+=(const CoreCounters& other);
};

/// Every rule of the rebalancer for one model and EP group: step(event, now) -> actions. Pure: a recorded list of
/// events replays to the same actions. Not thread-safe. Cost: a pass over a report's counts; a decision measures two
/// maps on the counts, and again without each worker.
class Core {
 public:
  /// Fails with kInvalidInput where the options are out of range or the journal's placement is for another cluster.
  [[nodiscard]] static Result<Core> create(CoreOptions options, std::uint64_t term, GroupRecovery recovery);

  [[nodiscard]] Actions step(const Event& event, TimePoint now);

  [[nodiscard]] const CoreCounters& counters() const { return counters_; }
  [[nodiscard]] const AgentRegistry& registry() const { return registry_; }
  [[nodiscard]] const std::optional<Committed>& running() const { return running_; }
  [[nodiscard]] std::uint64_t term() const { return term_; }
  [[nodiscard]] const CoreOptions& options() const { return options_; }
  [[nodiscard]] const Policy& policy() const { return policy_; }
  /// The newest decision; none before the first.
  [[nodiscard]] const std::optional<DecisionRecord>& decided() const { return decided_; }
  [[nodiscard]] std::uint64_t windows_decided() const { return windows_decided_; }
  [[nodiscard]] bool is_frozen() const { return is_frozen_; }
  [[nodiscard]] bool is_dry_run() const { return options_.policy.is_dry_run; }
  /// "idle", "planning", "preparing" or "switching": how far a migration is.
  [[nodiscard]] std::string_view phase() const;
  /// No agent waits for anything: the program may end without leaving an epoch half done.
  [[nodiscard]] bool is_settled(TimePoint now) const;

 private:
  struct Preparing {
    wire::Stamp stamp;
    Placement placement;
    std::vector<wire::Copy> copies;
    TimePoint deadline;
  };
  /// An adopted migration, of which `next` is the epoch to carry out next.
  struct Chain {
    MigrationPlan plan;
    std::vector<Placement> placements;
    std::size_t next = 0;
    /// When workers must have switched, so that the next epoch may begin.
    TimePoint deadline;
  };

  Core(CoreOptions options, std::uint64_t term, GroupRecovery recovery);

  void handle(const Received& received, TimePoint now);
  void handle(const PlanReady& plan, TimePoint now);
  void handle(const Tick&, TimePoint now);
  void handle(const Control& control, TimePoint now);
  void handle(const Reconfigured& reconfigured, TimePoint now);

  void on(const Received& from, const wire::Hello& hello, TimePoint now);
  void on(const Received& from, const wire::Report& report, TimePoint now);
  void on(const Received& from, const wire::Paths& paths, TimePoint now);
  void on(const Received& from, const wire::Ready& ready, TimePoint now);
  void on(const Received& from, const wire::Applied& applied, TimePoint now);
  void on(const Received& from, const wire::Refusal& refusal, TimePoint now);
  /// Messages that only a rebalancer sends.
  template <class Other>
  void on(const Received&, const Other&, TimePoint) {
    ++counters_.messages_unexpected;
  }

  [[nodiscard]] std::optional<wire::Refusal> reason_to_refuse(const Received& from, const wire::Hello& hello) const;
  /// Whether known loads have the shape of a map that the journal held already.
  [[nodiscard]] bool are_of_the_running_model() const;
  [[nodiscard]] Status ensure_first_placement(const wire::Hello& hello);
  /// The agent this message speaks for, or null after answering that it must say HELLO.
  [[nodiscard]] Agent* known(const Received& from, std::uint64_t incarnation, TimePoint now);
  void refuse(const Received& from, wire::Refusal refusal);
  void send(const Agent& agent, wire::Message message);
  void note(std::string event, wire::Note::Fields fields);
  /// Has what must outlive this process of the workers' counts written, before anyone is told that it is taken in.
  void keep_totals();

  /// Closes windows that all workers have completed, and decides about each; one decision at a time.
  void close_windows(TimePoint now);
  [[nodiscard]] bool is_window_complete(const Progress& all, TimePoint now) const;
  void resume_windows(const Progress& all);
  void close_window(const Progress& all, TimePoint now);
  [[nodiscard]] std::optional<std::string> reason_to_hold(const Progress& all, TimePoint now) const;
  /// The worker without which the last window would gain less than half as much by this placement.
  [[nodiscard]] std::optional<std::string> worker_it_hangs_on(
      const Placement& candidate, const std::map<std::string, Grid<std::uint64_t>>& load_of_worker) const;
  /// The policy's decision stands: told, journalled, and agents that wait may go on.
  void decide(TimePoint now, std::optional<double> solve_seconds);
  void finish_windows();
  /// A report is taken in. Windows are told by the agent's own numbers.
  void acknowledge(const Agent& agent, std::uint64_t sequence);

  void prepare_next(TimePoint now);
  [[nodiscard]] wire::Prepare prepare_message(TimePoint now) const;
  void commit_if_all_ready(TimePoint now);
  void retire_if_all_applied(TimePoint now);
  void go_on_with_chain(TimePoint now);
  void drop_chain(const std::string& reason);
  void abort(std::string reason);
  void resend(TimePoint now);
  void expect_answer(Agent& agent, TimePoint now);
  [[nodiscard]] bool all_applied() const;
  /// The agents that a condition does not hold for, in words.
  [[nodiscard]] std::string names_without(bool (*holds)(const Agent&)) const;

  CoreOptions options_;
  std::uint64_t term_;
  std::uint64_t next_epoch_;
  std::optional<Committed> running_;
  std::uint64_t running_digest_ = 0;
  std::optional<std::uint64_t> retired_epoch_;
  std::string model_;
  AgentRegistry registry_;
  Policy policy_;

  /// Windows before this process began are nobody's to decide about; told by the first reports.
  bool is_resuming_;
  std::uint64_t windows_closed_ = 0;
  std::uint64_t windows_decided_ = 0;
  std::uint64_t steps_closed_ = 0;
  std::uint64_t tokens_closed_ = 0;
  TimePoint window_closed_at_ = TimePoint::min();
  /// Counts of the window closed last, all stages.
  Grid<std::uint64_t> window_load_;
  /// Of it, each worker's share, while a plan for it is made.
  std::map<std::string, Grid<std::uint64_t>> load_of_worker_;
  std::optional<DecisionRecord> decided_;
  std::optional<TimePoint> planned_at_;
  std::uint64_t planned_tokens_ = 0;

  std::optional<std::uint64_t> planning_;
  std::uint64_t plans_ = 0;
  std::optional<Chain> chain_;
  std::optional<Preparing> preparing_;
  bool is_frozen_ = false;
  bool is_draining_ = false;

  Actions actions_;
  CoreCounters counters_;
};

}  // namespace evenkeel::rebalancer
