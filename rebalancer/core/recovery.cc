#include "rebalancer/core/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace evenkeel::rebalancer {
namespace {

Status validate(const TotalRecord& total, const GroupRecovery& group) {
  for (const StageLoad& stage : total.stages) {
    const auto& counts = stage.load_tokens;
    if (group.running && counts.rows() == group.running->placement.layers() &&
        counts.cols() == group.running->placement.experts()) {
      continue;
    }
    return failure(fmt::format("the totals of '{}' have {} layers of {} experts, other than the map of {}",
                               total.worker, counts.rows(), counts.cols(), total.model));
  }
  return {};
}

}  // namespace

Result<Recovery> recover(std::uint64_t term, std::span<const JournalRecord> records,
                         std::span<const TotalRecord> totals) {
  Recovery recovery{.term = term, .groups = {}, .aborts = {}};
  std::map<std::pair<std::string, std::uint64_t>, const JournalRecord*> undecided;
  for (const JournalRecord& record : records) {
    const std::uint64_t epoch = record.stamp.epoch;
    GroupRecovery& group = recovery.groups[record.model];
    group.next_epoch = std::max(group.next_epoch, epoch + 1);
    if (record.kind == RecordKind::kPrepare) {
      undecided[{record.model, epoch}] = &record;
      continue;
    }
    const auto prepared = undecided.find({record.model, epoch});
    if (record.kind == RecordKind::kCommit) {
      if (prepared == undecided.end() || !prepared->second->placement) {
        return failure(fmt::format("epoch {} has a COMMIT without the map it commits", epoch));
      }
      group.running = Committed{epoch, *prepared->second->placement};
    }
    if (prepared != undecided.end()) undecided.erase(prepared);
  }
  for (const auto& [key, record] : undecided) {
    recovery.aborts.push_back({.kind = RecordKind::kAbort,
                               .model = record->model,
                               .stamp = record->stamp,
                               .placement = std::nullopt,
                               .reason = "the rebalancer ended before COMMIT"});
  }
  for (const TotalRecord& total : totals) {
    const auto group = recovery.groups.find(total.model);
    if (group == recovery.groups.end()) continue;
    EVENKEEL_TRY_STATUS(validate(total, group->second));
    group->second.totals.push_back(total);
  }
  return recovery;
}

}  // namespace evenkeel::rebalancer
