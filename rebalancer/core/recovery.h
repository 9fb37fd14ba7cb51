#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "rebalancer/core/journal_record.h"

namespace evenkeel::rebalancer {

struct Committed {
  std::uint64_t epoch = 0;
  Placement placement;
};

/// Where one model and EP group starts from.
struct GroupRecovery {
  /// The last committed placement; none in a new journal.
  std::optional<Committed> running;
  /// Above every epoch the journal knows, aborted ones too: a number never names two maps.
  std::uint64_t next_epoch = 0;
  /// What workers had counted that the journal was told of.
  std::vector<TotalRecord> totals;
};

/// Where a rebalancer starts from.
struct Recovery {
  std::uint64_t term = 1;
  /// By model.
  std::map<std::string, GroupRecovery> groups;
  /// To be written before anything is sent: a prepared epoch without COMMIT is given up.
  std::vector<JournalRecord> aborts;
};

/// Decides every prepared epoch by one rule: is there a COMMIT record? Pure. `records` in the order they were written,
/// `term` the new leader's. Fails with kInvalidInput where a COMMIT has no PREPARE.
[[nodiscard]] Result<Recovery> recover(std::uint64_t term, std::span<const JournalRecord> records,
                                       std::span<const TotalRecord> totals = {});

}  // namespace evenkeel::rebalancer
