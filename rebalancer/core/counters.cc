#include "rebalancer/core/counters.h"

#include <cstddef>

namespace evenkeel::rebalancer {

IntakeCounters& IntakeCounters::operator+=(const IntakeCounters& other) {
  hellos_accepted += other.hellos_accepted;
  hellos_refused += other.hellos_refused;
  reports_accepted += other.reports_accepted;
  reports_stale += other.reports_stale;
  reports_refused += other.reports_refused;
  reports_implausible += other.reports_implausible;
  paths_received += other.paths_received;
  paths_missed += other.paths_missed;
  for (std::size_t i = 0; i < wire::kLosses; ++i) agent_losses.counts[i] += other.agent_losses.counts[i];
  messages_from_unknown += other.messages_from_unknown;
  messages_late += other.messages_late;
  messages_unexpected += other.messages_unexpected;
  refusals_received += other.refusals_received;
  return *this;
}

WindowCounters& WindowCounters::operator+=(const WindowCounters& other) {
  windows_closed += other.windows_closed;
  decisions_keep += other.decisions_keep;
  decisions_adopt += other.decisions_adopt;
  plans_failed += other.plans_failed;
  return *this;
}

MigrationCounters& MigrationCounters::operator+=(const MigrationCounters& other) {
  messages_resent += other.messages_resent;
  epochs_prepared += other.epochs_prepared;
  epochs_committed += other.epochs_committed;
  epochs_aborted += other.epochs_aborted;
  epochs_retired += other.epochs_retired;
  chains_dropped += other.chains_dropped;
  return *this;
}

CoreCounters& CoreCounters::operator+=(const CoreCounters& other) {
  IntakeCounters::operator+=(other);
  WindowCounters::operator+=(other);
  MigrationCounters::operator+=(other);
  return *this;
}

}  // namespace evenkeel::rebalancer
