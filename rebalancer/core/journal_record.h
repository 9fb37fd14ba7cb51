#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agents/wire/message.h"
#include "partition/adaptive/policy.h"
#include "partition/model/placement.h"

namespace evenkeel::rebalancer {

enum class RecordKind { kPrepare, kCommit, kAbort };

/// One step of a migration as the journal keeps it.
struct JournalRecord {
  RecordKind kind = RecordKind::kPrepare;
  /// The model and EP group whose epoch it is.
  std::string model;
  wire::Stamp stamp;
  /// With kPrepare: the map; a COMMIT of the same epoch makes it the running one, an ABORT drops it.
  std::optional<Placement> placement;
  /// With kAbort.
  std::string reason;
  bool operator==(const JournalRecord&) const = default;
};

/// One decision at the end of a window, for people: recovery does not need it.
struct DecidedRecord {
  std::string model;
  std::uint64_t term = 0;
  DecisionRecord decision;
};

/// What one worker's newest incarnation has counted; without a worker's name, what all that ended before have, all
/// stages in one. Replaces what was kept under that name; with incarnation 0, nothing is.
struct TotalRecord {
  std::string model;
  std::string worker;
  std::uint64_t incarnation = 0;
  /// The report it is from.
  std::uint64_t sequence = 0;
  std::vector<StageLoad> stages;
  bool operator==(const TotalRecord&) const = default;
};

}  // namespace evenkeel::rebalancer
