#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agents/wire/message.h"
#include "partition/model/placement.h"

namespace evenkeel::rebalancer {

enum class RecordKind { kPrepare, kCommit, kAbort };

/// One decision as the journal keeps it. Records are only ever added.
struct JournalRecord {
  RecordKind kind = RecordKind::kPrepare;
  wire::Stamp stamp;
  /// With kPrepare: the map; a COMMIT of the same epoch makes it the running one.
  std::optional<Placement> placement;
  /// With kAbort.
  std::string reason;
  bool operator==(const JournalRecord&) const = default;
};

}  // namespace evenkeel::rebalancer
