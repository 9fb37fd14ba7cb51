#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agents/wire/message.h"
#include "agents/wire/note.h"
#include "partition/model/cluster.h"
#include "partition/model/result.h"
#include "partition/model/routing_profile.h"
#include "rebalancer/core/agent_registry.h"
#include "rebalancer/core/recovery.h"

namespace evenkeel::rebalancer {

struct CoreOptions {
  Cluster cluster;
  /// Spare slots a layer, over all GPUs.
  std::size_t redundant = 0;
  /// Agents of the EP group; nothing is planned until all are there. Range [1, 10,000].
  std::uint32_t agents_expected = 1;
  /// Tokens that must be new since the last plan. One batch tells nothing: at 64 experts, top-6, 10,000 tokens put
  /// about 1,000 on an expert, a standard error of 3 %.
  std::uint64_t tokens_min = 10'000;
  /// Least time between two decisions.
  std::chrono::milliseconds interval_min{5'000};
  /// Least relative drop of mean imbalance worth a migration. Range [0, 1].
  double gain_min_ratio = 0.02;
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
  std::uint64_t plan = 0;
  Result<Placement> placement;
  double solve_seconds = 0;
};
/// Time has passed.
struct Tick {};
using Event = std::variant<Received, PlanReady, Tick>;

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
struct StartPlanning {
  std::uint64_t plan = 0;
  RoutingProfile profile;
};
using Action = std::variant<Send, Broadcast, Write, StartPlanning, wire::Note>;
using Actions = std::vector<Action>;

struct CoreCounters {
  std::uint64_t hellos_accepted = 0;
  std::uint64_t hellos_refused = 0;
  std::uint64_t reports_accepted = 0;
  std::uint64_t reports_stale = 0;
  std::uint64_t reports_refused = 0;
  std::uint64_t messages_from_unknown = 0;
  std::uint64_t messages_late = 0;
  std::uint64_t messages_unexpected = 0;
  std::uint64_t refusals_received = 0;
  std::uint64_t messages_resent = 0;
  std::uint64_t decisions_keep = 0;
  std::uint64_t epochs_prepared = 0;
  std::uint64_t epochs_committed = 0;
  std::uint64_t epochs_aborted = 0;
};

/// Every rule of the rebalancer for one model and EP group: step(event, now) -> actions. Pure: a recorded list of
/// events replays to the same actions. Not thread-safe. Cost: a pass over a report's counts; a decision compares two
/// maps on the counts.
class Core {
 public:
  /// Fails with kInvalidInput where the options are out of range or the journal's placement is for another cluster.
  [[nodiscard]] static Result<Core> create(CoreOptions options, Recovery recovery);

  [[nodiscard]] Actions step(const Event& event, TimePoint now);

  [[nodiscard]] const CoreCounters& counters() const { return counters_; }
  [[nodiscard]] const AgentRegistry& registry() const { return registry_; }
  [[nodiscard]] const std::optional<Committed>& running() const { return running_; }
  [[nodiscard]] std::uint64_t term() const { return term_; }

 private:
  struct Preparing {
    wire::Stamp stamp;
    Placement placement;
    TimePoint deadline;
  };

  Core(CoreOptions options, Recovery recovery);

  void handle(const Received& received, TimePoint now);
  void handle(const PlanReady& plan, TimePoint now);
  void handle(const Tick&, TimePoint now);

  void on(const Received& from, const wire::Hello& hello, TimePoint now);
  void on(const Received& from, const wire::Report& report, TimePoint now);
  void on(const Received& from, const wire::Ready& ready, TimePoint now);
  void on(const Received& from, const wire::Applied& applied, TimePoint now);
  void on(const Received& from, const wire::Refusal& refusal, TimePoint now);
  /// Messages that only a rebalancer sends.
  template <class Other>
  void on(const Received&, const Other&, TimePoint) {
    ++counters_.messages_unexpected;
  }

  [[nodiscard]] std::optional<wire::Refusal> reason_to_refuse(const Received& from, const wire::Hello& hello) const;
  [[nodiscard]] Status ensure_first_placement(const wire::Hello& hello);
  /// The agent this message speaks for, or null after answering that it must say HELLO.
  [[nodiscard]] Agent* known(const Received& from, std::uint64_t incarnation, TimePoint now);
  void refuse(const Received& from, wire::Refusal refusal);
  void send(const Agent& agent, wire::Message message);
  void note(std::string event, wire::Note::Fields fields);

  [[nodiscard]] bool may_plan(TimePoint now) const;
  void start_planning(TimePoint now);
  void keep(std::string reason, wire::Note::Fields fields);
  void prepare(Placement placement, TimePoint now);
  [[nodiscard]] wire::Prepare prepare_message(TimePoint now) const;
  void commit_if_all_ready(TimePoint now);
  void abort(std::string reason);
  void resend(TimePoint now);
  void expect_answer(Agent& agent, TimePoint now);
  [[nodiscard]] bool all_applied() const;

  CoreOptions options_;
  std::uint64_t term_;
  std::uint64_t next_epoch_;
  std::optional<Committed> running_;
  std::uint64_t running_digest_ = 0;
  std::string model_;
  AgentRegistry registry_;

  std::optional<std::uint64_t> planning_;
  std::optional<Preparing> preparing_;
  std::uint64_t plans_ = 0;
  std::optional<TimePoint> decided_at_;
  /// What registry_ held when the last plan began, and what that plan saw.
  std::uint64_t planned_tokens_ = 0;
  Grid<std::uint64_t> planned_load_;
  RoutingProfile plan_profile_;

  Actions actions_;
  CoreCounters counters_;
};

}  // namespace evenkeel::rebalancer
