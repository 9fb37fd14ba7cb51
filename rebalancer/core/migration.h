#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wire/message.h"
#include "partition/model/placement.h"
#include "rebalancer/core/actions.h"
#include "rebalancer/core/adopted_plan.h"
#include "rebalancer/core/agent_registry.h"
#include "rebalancer/core/core_options.h"
#include "rebalancer/core/counters.h"
#include "rebalancer/core/recovery.h"

namespace evenkeel::rebalancer {

/// The epochs of one group: which one runs, which one is prepared, and what of an adopted plan is still to come. An
/// epoch goes from PREPARE (all load) over READY of all to COMMIT (all switch), APPLIED of all and RETIRE (old copies
/// may go); only then the next is prepared. Before COMMIT it ends in ABORT where an agent refuses, the time is over, or
/// somebody gives it up; after COMMIT it only goes forward. PREPARE and COMMIT are repeated until they are
/// acknowledged. What decides is written before it is sent. Pure. Not thread-safe. Cost: a pass over the agents a call.
class Migration {
 public:
  /// What an event has led to.
  enum class Outcome {
    kGoesOn,  ///< Nothing ended.
    kLate,    ///< The message is of an epoch that is decided already; nothing changed.
    kEnded,   ///< The migration is over: all its epochs run, or the rest are given up.
  };

  /// `term` of this process; `recovery` as the journal has it.
  Migration(const MigrationOptions& options, std::uint64_t term, GroupRecovery recovery);

  /// The first placement of a group that has none, by common consent: committed without asking anyone. `origin` in
  /// words.
  void commit_first(Placement placement, std::string origin, Outbox& out);
  /// Tells an agent that has said HELLO all that it must know. There is a running epoch by then.
  void welcome(Agent& agent, TimePoint now, Outbox& out);

  /// Prepares the first epoch of an adopted plan; none may be under way.
  [[nodiscard]] Outcome begin(AdoptedPlan plan, AgentRegistry& registry, TimePoint now, Outbox& out);
  [[nodiscard]] Outcome ready(Agent& agent, const wire::Ready& ready, AgentRegistry& registry, TimePoint now,
                              Outbox& out);
  [[nodiscard]] Outcome applied(Agent& agent, const wire::Applied& applied, AgentRegistry& registry, TimePoint now,
                                Outbox& out);
  /// `worker` cannot load what was prepared.
  [[nodiscard]] Outcome refused(const std::string& worker, const wire::Refusal& refusal, const AgentRegistry& registry,
                                Outbox& out);
  /// Ends what has taken too long: an epoch that is prepared, or the wait for all to switch.
  [[nodiscard]] Outcome expire(const AgentRegistry& registry, TimePoint now, Outbox& out);
  /// Ends a migration that is under way, for this reason.
  [[nodiscard]] Outcome give_up(const std::string& reason, const AgentRegistry& registry, Outbox& out);
  /// Repeats what present agents have not acknowledged for long enough.
  void resend(AgentRegistry& registry, TimePoint now, Outbox& out);

  void reconfigure(const MigrationOptions& options) { options_ = options; }

  [[nodiscard]] const std::optional<Committed>& running() const { return running_; }
  [[nodiscard]] std::uint64_t term() const { return term_; }
  /// Of the running epoch; 0 before the first.
  [[nodiscard]] wire::Stamp stamp() const { return {term_, running_ ? running_->epoch : 0}; }
  [[nodiscard]] bool is_preparing() const { return preparing_.has_value(); }
  /// No present agent waits for anything.
  [[nodiscard]] bool is_settled(const AgentRegistry& registry, TimePoint now) const;
  [[nodiscard]] const MigrationCounters& counters() const { return counters_; }

 private:
  struct Preparing {
    wire::Stamp stamp;
    Placement placement;
    std::vector<wire::Copy> copies;
    TimePoint deadline;
  };
  /// An adopted plan, of which `next` is the epoch to carry out next.
  struct Chain {
    AdoptedPlan plan;
    std::size_t next = 0;
    /// When workers must have switched, so that the next epoch may begin.
    TimePoint deadline;
    [[nodiscard]] std::size_t epochs() const { return plan.placements.size(); }
  };

  [[nodiscard]] Outcome prepare_next(AgentRegistry& registry, TimePoint now, Outbox& out);
  [[nodiscard]] wire::Prepare prepare_message(TimePoint now) const;
  [[nodiscard]] Outcome commit(AgentRegistry& registry, TimePoint now, Outbox& out);
  void tell_commit(wire::Stamp stamp, std::size_t copies, double imbalance_before, Outbox& out) const;
  void retire(const AgentRegistry& registry, Outbox& out);
  [[nodiscard]] Outcome abort(const std::string& reason, const AgentRegistry& registry, Outbox& out);
  [[nodiscard]] Outcome drop_chain(const std::string& reason, Outbox& out);
  void run(Committed committed);
  void expect_answer(Agent& agent, TimePoint now) const;

  MigrationOptions options_;
  std::uint64_t term_;
  std::uint64_t next_epoch_;
  std::optional<Committed> running_;
  std::uint64_t running_digest_ = 0;
  std::optional<std::uint64_t> retired_epoch_;
  std::optional<Chain> chain_;
  std::optional<Preparing> preparing_;
  MigrationCounters counters_;
};

}  // namespace evenkeel::rebalancer
