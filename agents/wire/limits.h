#pragma once

#include <cstddef>
#include <cstdint>

/// Everything that a peer can make this program allocate, in one place. docs/reference/protocol.md lists them.
namespace evenkeel::wire {

/// Bytes of one frame: every socket's MAXMSGSIZE. Three stages of kCellsMax counts of 9 bytes are 1.7 MiB, so any
/// report fits.
inline constexpr std::size_t kFrameBytesMax = 2 * 1024 * 1024;

/// Cells of one table, a report's counts or a map. 58 layers of 256 + 32 slots are 16,704.
inline constexpr std::size_t kCellsMax = 65'536;
inline constexpr std::size_t kLayersMax = 1'024;
inline constexpr std::size_t kExpertsMax = 4'096;
inline constexpr std::size_t kSlotsMax = 8'192;
inline constexpr std::size_t kGpusMax = 4'096;
inline constexpr std::size_t kWorldMax = 10'000;
/// Prefill, decode and mixed.
inline constexpr std::size_t kStagesMax = 3;
/// Copies one epoch may need: every cell of the largest map.
inline constexpr std::size_t kCopiesMax = kCellsMax;
/// Experts of one batch of token paths, of 3 bytes at most: 768 KiB. 58 rounds of top-8 leave room for 564 tokens.
inline constexpr std::size_t kPathCellsMax = 262'144;
/// Experts a token chooses in a round.
inline constexpr std::size_t kTopKMax = 64;
/// One token in so many is among the paths.
inline constexpr std::uint64_t kOneInMax = std::uint64_t{1} << 32;

/// Absolute number of a layer in its model.
inline constexpr std::uint64_t kLayerNumberMax = 65'535;
/// Tokens of one counter: ten years at 900,000 tokens a second, and 10,000 workers' sums stay below 2^62.
inline constexpr std::uint64_t kTokensMax = std::uint64_t{1} << 48;
/// Term, epoch and sequence numbers: SQLite stores signed 64-bit integers.
inline constexpr std::uint64_t kNumberMax = (std::uint64_t{1} << 63) - 1;
/// A day; no migration waits longer for its workers.
inline constexpr std::uint64_t kDeadlineMsMax = 86'400'000;

inline constexpr std::size_t kNameBytesMax = 64;
inline constexpr std::size_t kTextBytesMax = 256;

/// Fields of one msgpack map; the largest message has 10. Arrays are as long as the longest list, kCopiesMax.
inline constexpr std::size_t kFieldsMax = 16;
/// Message, stages, stage, counts, row.
inline constexpr std::size_t kDepthMax = 6;

/// Agents that one rebalancer serves.
inline constexpr std::size_t kAgentsMax = kWorldMax;

}  // namespace evenkeel::wire
