#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"
#include "rebalancer/core/actions.h"
#include "rebalancer/core/agent_registry.h"
#include "rebalancer/core/core_options.h"
#include "rebalancer/core/counters.h"
#include "rebalancer/core/events.h"
#include "rebalancer/core/migration.h"
#include "rebalancer/core/operator.h"
#include "rebalancer/core/recovery.h"
#include "rebalancer/core/windows.h"

namespace evenkeel::rebalancer {

/// Every rule of the rebalancer for one model and EP group: step(event, now) -> actions. It admits agents, and hands
/// what they say on: counts to the registry and Windows, answers to Migration, an operator's words to Operator. Pure: a
/// recorded list of events replays to the same actions. Not thread-safe. Cost: a pass over a report's counts; a
/// decision measures two maps on the counts, and again without each worker.
class Core {
 public:
  /// Fails with kInvalidInput where the options are out of range or the journal's placement is for another cluster.
  [[nodiscard]] static Result<Core> create(CoreOptions options, std::uint64_t term, GroupRecovery recovery);

  [[nodiscard]] Actions step(const Event& event, TimePoint now);

  [[nodiscard]] CoreCounters counters() const { return {counters_, windows_.counters(), migration_.counters()}; }
  [[nodiscard]] const AgentRegistry& registry() const { return registry_; }
  [[nodiscard]] const std::optional<Committed>& running() const { return migration_.running(); }
  [[nodiscard]] std::uint64_t term() const { return migration_.term(); }
  [[nodiscard]] const CoreOptions& options() const { return operator_.options(); }
  [[nodiscard]] const Policy& policy() const { return windows_.policy(); }
  /// The newest decision; none before the first.
  [[nodiscard]] const std::optional<DecisionRecord>& decided() const { return windows_.decided(); }
  [[nodiscard]] std::uint64_t windows_decided() const { return windows_.decided_windows(); }
  [[nodiscard]] bool is_frozen() const { return operator_.is_frozen(); }
  [[nodiscard]] bool is_dry_run() const { return operator_.is_dry_run(); }
  /// "idle", "planning", "preparing" or "switching": how far a migration is.
  [[nodiscard]] std::string_view phase() const;
  /// No agent waits for anything: the program may end without leaving an epoch half done.
  [[nodiscard]] bool is_settled(TimePoint now) const { return migration_.is_settled(registry_, now); }

 private:
  Core(CoreOptions options, std::uint64_t term, GroupRecovery recovery);

  void handle(const Received& received, TimePoint now);
  void handle(const PlanReady& plan, TimePoint now);
  void handle(const Tick&, TimePoint now);
  void handle(const Control& control, TimePoint) { carry_out(operator_.take(control, out_)); }
  void handle(const Reconfigured& wanted, TimePoint) { carry_out(operator_.reload(wanted.options)); }
  void carry_out(const Orders& orders);

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

  /// Makes the agent one of the group, which has a running placement from then on. Returns why not, if not.
  [[nodiscard]] std::optional<wire::Refusal> admit(const Received& from, const wire::Hello& hello, TimePoint now);
  /// The agent this message speaks for, or null after answering that it must say HELLO.
  [[nodiscard]] Agent* known(const Received& from, std::uint64_t incarnation, TimePoint now);
  void refuse(const Received& from, wire::Refusal refusal);
  /// Has what must outlive this process of the workers' counts written, before anyone is told that it is taken in.
  void keep_totals();
  void close_windows(TimePoint now);
  /// Of a group that has a running placement.
  [[nodiscard]] Surroundings surroundings(TimePoint now);
  /// What a migration has come to: its windows are decided once it is over.
  void settle(Migration::Outcome outcome);

  Operator operator_;
  AgentRegistry registry_;
  Migration migration_;
  Windows windows_;
  Outbox out_;
  IntakeCounters counters_;
};

}  // namespace evenkeel::rebalancer
