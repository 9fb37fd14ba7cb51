#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/stage.h"
#include "partition/model/placement.h"
#include "partition/model/stage_load.h"

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
  /// As model_hash() of the shape below: two shapes under one name are refused.
  std::uint64_t model_hash = 0;
  std::uint32_t rank = 0;
  /// Ranks of the group; 0 in an observer, which has no rank: it counts, holds no placement, and nobody waits for it.
  std::uint32_t world = 1;
  std::vector<int> layer_ids;
  std::size_t experts = 0;
  std::uint64_t term_seen = 0;
  /// Absent in an agent that holds no placement yet.
  std::optional<std::uint64_t> epoch_applied;

  [[nodiscard]] bool is_observer() const { return world == 0; }
  bool operator==(const Hello&) const = default;
};

/// Rebalancer to agent: the committed placement.
struct Snapshot {
  Stamp stamp;
  Placement placement;
  bool operator==(const Snapshot&) const = default;
};

/// What an agent or its worker could not count, take in or pass on.
enum class Loss {
  kCallsRefused,       ///< Calls of the probe with a layer that the model does not have.
  kPathsDropped,       ///< Sampled token paths that found no room in the probe.
  kPathBatchesLost,    ///< Batches of them that were overwritten before the agent took them.
  kRecordingsRefused,  ///< Files of an engine's folder that could not be read.
  kMessagesDropped,    ///< Messages to the agent that were malformed or not for it.
  kBroadcastGaps,      ///< Times that broadcasts were missed.
  kSendsDropped,       ///< Messages of the agent that its full queue did not take.
};
inline constexpr std::size_t kLosses = 7;
/// How often each has happened.
struct Losses {
  /// By Loss.
  std::array<std::uint64_t, kLosses> counts{};
  std::uint64_t& operator[](Loss loss) { return counts[static_cast<std::size_t>(loss)]; }
  bool operator==(const Losses&) const = default;
};

/// Agent to rebalancer: exact counts by logical expert since the incarnation began, so the newest report says all.
struct Report {
  std::uint64_t incarnation = 0;
  /// Rises by one a report; older ones are ignored.
  std::uint64_t sequence = 0;
  /// Placement that the worker routes with.
  std::uint64_t epoch = 0;
  /// Windows this worker has completed; stays 0 where nothing tags windows. A report of a worker that stands at a
  /// window's end holds exactly the counts of windows 0 to window - 1.
  std::uint64_t window = 0;
  /// Steps since the incarnation began.
  std::uint64_t steps = 0;
  /// What each stage adds up to since the incarnation began. One to three, each at most once, all tables of one shape.
  std::vector<StageLoad> stages;
  /// The worker has ended: nothing will be counted beyond this. Acknowledged once it is on the rebalancer's disk.
  bool is_last = false;
  /// Since the agent or its worker began: they may fall.
  Losses losses = {};
  bool operator==(const Report&) const = default;
};

/// Rebalancer to agent: a report was taken in. Its stamp lets the agent notice a COMMIT it never got.
struct ReportAck {
  Stamp committed;
  std::uint64_t incarnation = 0;
  std::uint64_t sequence = 0;
  /// Decisions are finished (kept, or committed and eligible) for windows 0 to window_decided - 1.
  std::uint64_t window_decided = 0;
  bool operator==(const ReportAck&) const = default;
};

/// Agent to rebalancer: a sample of token paths, at most once: loss makes the sample smaller.
struct Paths {
  std::uint64_t incarnation = 0;
  /// Rises by one a batch, so that a lost one is noticed.
  std::uint64_t sequence = 0;
  Stage stage = Stage::kMixed;
  /// As in Report, when the tokens were sampled.
  std::uint64_t window = 0;
  std::size_t top_k = 1;
  /// One token in so many was sampled.
  std::uint64_t one_in = 1;
  /// Logical experts of each token, layer by layer, kNoExpert where a choice is empty [tokens, layers * top_k].
  Grid<ExpertIndex> experts;
  bool operator==(const Paths&) const = default;
};

/// An expert's weights that a GPU must load for an epoch.
struct Copy {
  /// Row of the map.
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;
  /// A GPU that holds it under the base epoch, the nearest one.
  std::uint32_t from_gpu = 0;
  std::uint32_t to_gpu = 0;
  bool operator==(const Copy&) const = default;
};

/// Rebalancer to agent: load this placement beside the running one and go on routing with the old.
struct Prepare {
  Stamp stamp;
  std::uint64_t base_epoch = 0;
  /// Time left until the rebalancer gives up; a duration, because clocks of two machines do not agree.
  std::uint64_t deadline_ms = 0;
  Placement placement;
  /// What the epoch needs loaded.
  std::vector<Copy> copies;
  /// Epochs of the chain that follow this one.
  std::uint32_t chain_left = 0;
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
  /// Step of the incarnation at which the worker switched to it.
  std::uint64_t step = 0;
  bool operator==(const Applied&) const = default;
};

/// Rebalancer to agent: all ranks have switched to this epoch; copies that only older ones need may be overwritten.
struct Retire {
  Stamp stamp;
  bool operator==(const Retire&) const = default;
};

/// Rebalancer to agent: the prepared epoch will never be committed; free what was loaded for it.
struct Abort {
  Stamp stamp;
  std::string reason;
  bool operator==(const Abort&) const = default;
};

enum class RefusalReason {
  kUnknownAgent,       ///< Say Hello first.
  kStaleIncarnation,   ///< A newer incarnation of this worker is known.
  kStaleStamp,         ///< A higher term or epoch was seen.
  kShapeMismatch,      ///< Layers, experts, GPUs or model are not those being served.
  kShrinkingCounts,    ///< A newer report counts less than an older one.
  kImplausibleCounts,  ///< A report counts more than one worker can.
  kConflict,           ///< A stamp came with two maps, or a rank or name is another's.
};

/// Either way: a well-formed message was not acted on, and why. Nothing is ever dropped silently.
struct Refusal {
  RefusalReason reason = RefusalReason::kUnknownAgent;
  /// Type of the refused message.
  std::string about;
  /// Epoch of the command that an agent refuses; absent in refusals by the rebalancer.
  std::optional<std::uint64_t> about_epoch;
  /// Highest stamp the refuser knows.
  Stamp known;
  std::string detail;
  bool operator==(const Refusal&) const = default;
};

using Message =
    std::variant<Hello, Snapshot, Report, ReportAck, Paths, Prepare, Ready, Commit, Applied, Retire, Abort, Refusal>;

/// "hello", "snapshot", ...: the "type" of a message on the wire and its name in logs.
[[nodiscard]] std::string_view type_name(const Message& message);
/// "unknown_agent", ...: as on the wire.
[[nodiscard]] std::string_view reason_name(RefusalReason reason);
/// "calls_refused", "paths_dropped", ...: as on the wire.
[[nodiscard]] std::string_view loss_name(Loss loss);

/// Names a model's shape: 64-bit FNV-1a over its number of layers, their ids and the number of experts.
[[nodiscard]] std::uint64_t model_hash(std::span<const int> layer_ids, std::size_t experts);

/// Names a map in logs and COMMITs: 64-bit FNV-1a over shape and slots. Equal placements have equal digests on every
/// machine. It finds accidents, not forgeries. Cost: one pass over the map.
[[nodiscard]] std::uint64_t digest(const Placement& placement);
/// Names a table of counts, as digest() does a map: over its cells, row by row.
[[nodiscard]] std::uint64_t counts_digest(const Grid<std::uint64_t>& counts);
/// 16 lower-case hexadecimal digits.
[[nodiscard]] std::string digest_text(std::uint64_t digest);

}  // namespace evenkeel::wire
