#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "partition/model/grid.h"
#include "partition/model/placement.h"

/// What agents and the rebalancer say to each other; docs/reference/protocol.md is the contract. Plain values: encoding
/// is codec.h, framing is frame.h.
namespace evenkeel::wire {

/// Orders every decision: first the rebalancer's term, then the epoch.
struct Stamp {
  std::uint64_t term = 0;
  std::uint64_t epoch = 0;
  auto operator<=>(const Stamp&) const = default;
};

/// Agent to rebalancer: who is there, what it serves and which placement it holds. Asks for a Snapshot.
struct Hello {
  std::uint64_t incarnation = 0;
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  std::vector<int> layer_ids;
  std::size_t experts = 0;
  std::uint64_t term_seen = 0;
  /// Absent in an agent that holds no placement yet.
  std::optional<std::uint64_t> epoch_applied;
  bool operator==(const Hello&) const = default;
};

/// Rebalancer to agent: the committed placement.
struct Snapshot {
  Stamp stamp;
  Placement placement;
  bool operator==(const Snapshot&) const = default;
};

/// Agent to rebalancer: exact counts by logical expert since the incarnation began, so the newest report says all.
struct Report {
  std::uint64_t incarnation = 0;
  /// Rises by one a report; older ones are ignored.
  std::uint64_t sequence = 0;
  /// Placement that the worker routes with.
  std::uint64_t epoch = 0;
  std::uint64_t tokens = 0;
  /// Tokens routed to each logical expert [layers, experts].
  Grid<std::uint64_t> count_tokens;
  bool operator==(const Report&) const = default;
};

/// Rebalancer to agent: a report was taken in. Its stamp lets the agent notice a COMMIT it never got.
struct ReportAck {
  Stamp committed;
  std::uint64_t incarnation = 0;
  std::uint64_t sequence = 0;
  bool operator==(const ReportAck&) const = default;
};

/// Rebalancer to agent: load this placement beside the running one and go on routing with the old.
struct Prepare {
  Stamp stamp;
  std::uint64_t base_epoch = 0;
  /// Time left until the rebalancer gives up; a duration, because clocks of two machines do not agree.
  std::uint64_t deadline_ms = 0;
  Placement placement;
  bool operator==(const Prepare&) const = default;
};

/// Agent to rebalancer: the prepared placement is loaded.
struct Ready {
  Stamp stamp;
  std::uint64_t incarnation = 0;
  bool operator==(const Ready&) const = default;
};

/// Rebalancer to agent: the epoch is decided, for ever. The digest names the map that was prepared.
struct Commit {
  Stamp stamp;
  std::uint64_t digest = 0;
  bool operator==(const Commit&) const = default;
};

/// Agent to rebalancer: the worker routes with this epoch.
struct Applied {
  Stamp stamp;
  std::uint64_t incarnation = 0;
  std::uint64_t digest = 0;
  bool operator==(const Applied&) const = default;
};

/// Rebalancer to agent: the prepared epoch will never be committed; free what was loaded for it.
struct Abort {
  Stamp stamp;
  std::string reason;
  bool operator==(const Abort&) const = default;
};

enum class RefusalReason {
  kUnknownAgent,      ///< Say Hello first.
  kStaleIncarnation,  ///< A newer incarnation of this worker is known.
  kStaleStamp,        ///< A higher term or epoch was seen.
  kShapeMismatch,     ///< Layers, experts, GPUs or model are not those being served.
  kShrinkingCounts,   ///< A newer report counts less than an older one.
  kConflict,          ///< A stamp came with two maps, or a rank or name is another's.
};

/// Either way: a well-formed message was not acted on, and why. Nothing is ever dropped silently.
struct Refusal {
  RefusalReason reason = RefusalReason::kUnknownAgent;
  /// Type of the refused message.
  std::string about;
  /// Highest stamp the refuser knows.
  Stamp known;
  std::string detail;
  bool operator==(const Refusal&) const = default;
};

using Message = std::variant<Hello, Snapshot, Report, ReportAck, Prepare, Ready, Commit, Applied, Abort, Refusal>;

/// "hello", "snapshot", ...: the "type" of a message on the wire and its name in logs.
[[nodiscard]] std::string_view type_name(const Message& message);
/// "unknown_agent", ...: as on the wire.
[[nodiscard]] std::string_view reason_name(RefusalReason reason);

/// Names a map in logs and COMMITs: 64-bit FNV-1a over shape and slots. Equal placements have equal digests on every
/// machine. It finds accidents, not forgeries. Cost: one pass over the map.
[[nodiscard]] std::uint64_t digest(const Placement& placement);
/// 16 lower-case hexadecimal digits.
[[nodiscard]] std::string digest_text(std::uint64_t digest);

}  // namespace evenkeel::wire
