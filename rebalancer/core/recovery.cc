#include "rebalancer/core/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace evenkeel::rebalancer {

Result<Recovery> recover(std::uint64_t term, std::span<const JournalRecord> records) {
  Recovery recovery{.term = term, .running = std::nullopt, .next_epoch = 0, .aborts = {}};
  std::map<std::uint64_t, const JournalRecord*> undecided;
  for (const JournalRecord& record : records) {
    const std::uint64_t epoch = record.stamp.epoch;
    recovery.next_epoch = std::max(recovery.next_epoch, epoch + 1);
    if (record.kind == RecordKind::kPrepare) {
      undecided[epoch] = &record;
      continue;
    }
    const auto prepared = undecided.find(epoch);
    if (record.kind == RecordKind::kCommit) {
      if (prepared == undecided.end() || !prepared->second->placement) {
        return invalid_input(fmt::format(
            "journal: epoch {} has a COMMIT without the map it commits; restore the file from a copy", epoch));
      }
      recovery.running = Committed{epoch, *prepared->second->placement};
    }
    undecided.erase(epoch);
  }
  for (const auto& [epoch, record] : undecided) {
    recovery.aborts.push_back({.kind = RecordKind::kAbort,
                               .stamp = record->stamp,
                               .placement = std::nullopt,
                               .reason = "the rebalancer ended before COMMIT"});
  }
  return recovery;
}

}  // namespace evenkeel::rebalancer
