#include "agents/wire/message.h"

#include <fmt/format.h>

namespace evenkeel::wire {
namespace {

/// FNV-1a, 64 bits (Fowler, Noll, Vo), over numbers as eight little-endian bytes.
class Fnv1a {
 public:
  void add(std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      hash_ = (hash_ ^ ((number >> shift) & 0xFF)) * 0x100000001B3ULL;
    }
  }
  void add_layers(std::span<const int> ids) {
    add(ids.size());
    for (const int id : ids) add(static_cast<std::uint64_t>(id));
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

struct TypeName {
  std::string_view operator()(const Hello&) const { return "hello"; }
  std::string_view operator()(const Snapshot&) const { return "snapshot"; }
  std::string_view operator()(const Report&) const { return "report"; }
  std::string_view operator()(const ReportAck&) const { return "report_ack"; }
  std::string_view operator()(const Paths&) const { return "paths"; }
  std::string_view operator()(const Prepare&) const { return "prepare"; }
  std::string_view operator()(const Ready&) const { return "ready"; }
  std::string_view operator()(const Commit&) const { return "commit"; }
  std::string_view operator()(const Applied&) const { return "applied"; }
  std::string_view operator()(const Retire&) const { return "retire"; }
  std::string_view operator()(const Abort&) const { return "abort"; }
  std::string_view operator()(const Refusal&) const { return "refusal"; }
};

}  // namespace

std::string_view type_name(const Message& message) { return std::visit(TypeName{}, message); }

std::string_view reason_name(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kUnknownAgent:
      return "unknown_agent";
    case RefusalReason::kStaleIncarnation:
      return "stale_incarnation";
    case RefusalReason::kStaleStamp:
      return "stale_stamp";
    case RefusalReason::kShapeMismatch:
      return "shape_mismatch";
    case RefusalReason::kShrinkingCounts:
      return "shrinking_counts";
    case RefusalReason::kImplausibleCounts:
      return "implausible_counts";
    case RefusalReason::kConflict:
      return "conflict";
  }
  return "unknown_agent";
}

std::string_view loss_name(Loss loss) {
  switch (loss) {
    case Loss::kCallsRefused:
      return "calls_refused";
    case Loss::kPathsDropped:
      return "paths_dropped";
    case Loss::kPathBatchesLost:
      return "path_batches_lost";
    case Loss::kRecordingsRefused:
      return "recordings_refused";
    case Loss::kMessagesDropped:
      return "messages_dropped";
    case Loss::kBroadcastGaps:
      return "broadcast_gaps";
    case Loss::kSendsDropped:
      return "sends_dropped";
  }
  return "sends_dropped";
}

std::uint64_t model_hash(std::span<const int> layer_ids, std::size_t experts) {
  Fnv1a hash;
  hash.add_layers(layer_ids);
  hash.add(experts);
  return hash.value();
}

std::uint64_t digest(const Placement& placement) {
  const Placement::Fields& fields = placement.fields();
  Fnv1a hash;
  hash.add_layers(fields.layer_ids);
  hash.add(fields.experts);
  hash.add(fields.nodes);
  hash.add(fields.slots_of_gpu.size());
  for (const std::uint32_t slots : fields.slots_of_gpu) hash.add(slots);
  for (const ExpertIndex expert : fields.expert_of_slot.cells()) hash.add(expert);
  return hash.value();
}

std::uint64_t counts_digest(const Grid<std::uint64_t>& counts) {
  Fnv1a hash;
  for (const std::uint64_t count : counts.cells()) hash.add(count);
  return hash.value();
}

std::string digest_text(std::uint64_t digest) { return fmt::format("{:016x}", digest); }

}  // namespace evenkeel::wire
