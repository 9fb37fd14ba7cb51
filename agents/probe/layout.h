#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "agents/wire/limits.h"

/// What stands where in a probe's segment. One layout of one version: worker and agent are of the same release, or the
/// agent refuses the segment.
namespace evenkeel::probe {

/// "EKPROBE1", and the first word of a segment once all of it is there.
inline constexpr std::uint64_t kMagic = 0x314542'4F52504B45ULL;
inline constexpr std::size_t kStages = wire::kStagesMax;

/// Epochs in atomics: 0 is none, so that fresh memory says so.
using EpochWord = std::uint64_t;
[[nodiscard]] constexpr EpochWord to_word(std::int64_t epoch) { return static_cast<EpochWord>(epoch + 1); }
[[nodiscard]] constexpr std::int64_t to_epoch(EpochWord word) { return static_cast<std::int64_t>(word) - 1; }

/// Sizes from which all offsets follow.
struct Geometry {
  std::uint32_t layers = 0;
  std::uint32_t experts = 0;
  std::uint32_t top_k = 0;
  std::uint32_t slots_max = 0;
  /// Tokens one batch of paths may hold; 0: no paths are sampled.
  std::uint32_t batch_tokens = 0;

  [[nodiscard]] std::size_t cells() const { return std::size_t{layers} * experts; }
  [[nodiscard]] std::size_t map_cells() const { return std::size_t{layers} * slots_max; }
  bool operator==(const Geometry&) const = default;
};

/// Who has written what, of two banks in turn: bank n % 2 holds publication n.
struct BankClock {
  std::atomic<std::uint64_t> published{0};
  std::atomic<std::uint64_t> writing{0};
};

/// Leading words of a bank of counts; the stages' tables [layers, experts] follow.
enum CountWord : std::size_t {
  kSteps,
  kWindow,
  kRefusedCalls,
  kPathsDropped,
  kTokens,
  kCountsFrom = kTokens + kStages
};

/// Leading words of a bank of mail to the worker; slots of each GPU, map and copies follow.
enum MailWord : std::size_t {
  kOffered,    ///< EpochWord of the epoch to load.
  kBase,       ///< EpochWord of the one its copies start from.
  kCommitted,  ///< EpochWord of the highest committed one.
  kDigest,
  kChainLeft,
  kGpus,
  kSlots,
  kCopies,
  kMailFrom
};

/// Batches of paths that wait for the agent; the oldest gives way.
inline constexpr std::size_t kBatches = 4;
/// Sampled tokens a batch holds: one step of 8,192 tokens at 1 in 8.
inline constexpr std::uint32_t kBatchTokens = 1'024;

/// Its words: experts [layers, batch_tokens, top_k], then the stage of each token [batch_tokens], all of 16 bits.
struct Batch {
  /// 2 n while batch n is written, 2 n + 1 when it is whole.
  std::atomic<std::uint64_t> mark{0};
  std::atomic<std::uint64_t> tokens{0};
  std::atomic<std::uint64_t> window{0};
};

/// From `step` on the worker routes with the epoch.
struct Switch {
  std::atomic<EpochWord> epoch{0};
  std::atomic<std::uint64_t> step{0};
  std::atomic<std::uint64_t> digest{0};
};

struct alignas(64) Header {
  std::atomic<std::uint64_t> magic{0};
  std::uint64_t bytes = 0;
  Geometry geometry;
  std::uint32_t rank = 0;
  std::uint32_t world = 1;
  std::uint32_t paths_one_in = 0;
  std::uint64_t incarnation = 0;
  std::int64_t worker_process = 0;
  std::array<char, wire::kNameBytesMax + 1> model{};
  std::array<char, wire::kNameBytesMax + 1> worker{};
  std::array<std::int32_t, wire::kLayersMax> layer_ids{};

  /// The worker's word to the agent.
  alignas(64) BankClock counts;
  std::atomic<std::uint64_t> batches{0};
  std::atomic<EpochWord> ready{0};
  /// Switches so far; switch n is in switch_of[n % 2].
  std::atomic<std::uint64_t> switches{0};
  std::array<Switch, 2> switch_of{};
  /// A replay has played everything.
  std::atomic<std::uint64_t> finished{0};
  std::array<Batch, kBatches> batch{};

  /// The agent's word to the worker.
  alignas(64) BankClock mail;
  std::atomic<EpochWord> retired{0};
  std::atomic<std::uint64_t> windows_decided{0};
  std::atomic<std::uint64_t> batches_wanted{0};
  /// Rises while an agent is attached, in milliseconds of CLOCK_MONOTONIC.
  std::atomic<std::uint64_t> agent_alive_ms{0};
  /// A replay's worker may end.
  std::atomic<std::uint64_t> released{0};

  /// The agent's notes to its successor.
  std::atomic<std::uint64_t> reports{0};
  std::atomic<std::uint64_t> path_reports{0};
  std::atomic<std::uint64_t> batches_taken{0};
  std::atomic<std::uint64_t> term_seen{0};
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "atomics in shared memory need no lock of a process");

/// Offsets in 8-byte words from the segment's start.
struct Layout {
  explicit Layout(const Geometry& g)
      : count_words(kCountsFrom + kStages * g.cells()),
        mail_words(kMailFrom + words_of(wire::kGpusMax, 4) + words_of(g.map_cells(), 2) + g.map_cells()),
        batch_words(words_of((std::size_t{g.layers} * g.top_k + 1) * g.batch_tokens, 2)),
        counts(words_of(sizeof(Header), 1)),
        mail(counts + 2 * count_words),
        paths(mail + 2 * mail_words),
        end(paths + kBatches * batch_words) {}

  /// Words that hold `count` values of `bytes` each; a whole number of cache lines, so that banks share none.
  [[nodiscard]] static constexpr std::size_t words_of(std::size_t count, std::size_t bytes) {
    return (count * bytes + 63) / 64 * 8;
  }

  std::size_t count_words;
  std::size_t mail_words;
  std::size_t batch_words;
  std::size_t counts;
  std::size_t mail;
  std::size_t paths;
  std::size_t end;
};

}  // namespace evenkeel::probe
