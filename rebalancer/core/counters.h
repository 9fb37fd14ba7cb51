#pragma once

#include <cstdint>

#include "agents/wire/message.h"

namespace evenkeel::rebalancer {

/// What came in, and what became of it.
struct IntakeCounters {
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

  IntakeCounters& operator+=(const IntakeCounters& other);
};

struct WindowCounters {
  std::uint64_t windows_closed = 0;
  std::uint64_t decisions_keep = 0;
  std::uint64_t decisions_adopt = 0;
  /// Plans that led to nothing: a solver that failed, was stopped or crashed.
  std::uint64_t plans_failed = 0;

  WindowCounters& operator+=(const WindowCounters& other);
};

struct MigrationCounters {
  std::uint64_t messages_resent = 0;
  std::uint64_t epochs_prepared = 0;
  std::uint64_t epochs_committed = 0;
  std::uint64_t epochs_aborted = 0;
  std::uint64_t epochs_retired = 0;
  /// Adopted chains of which not all epochs were carried out.
  std::uint64_t chains_dropped = 0;

  MigrationCounters& operator+=(const MigrationCounters& other);
};

/// Everything that a Core counts.
struct CoreCounters : IntakeCounters, WindowCounters, MigrationCounters {
  CoreCounters& operator+=(const CoreCounters& other);
};

}  // namespace evenkeel::rebalancer
