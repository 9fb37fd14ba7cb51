#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/wire/limits.h"
#include "agents/wire/message.h"
#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel::agent {

/// By which a file is known again, under another name too.
struct FileMark {
  /// Since 1970.
  std::int64_t written_ns = 0;
  std::uint64_t bytes = 0;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(const FileMark&) const = default;
  /// For a file of the same name: its disk may have another number after it was unmounted.
  [[nodiscard]] bool has_content_of(const FileMark& other) const {
    return written_ns == other.written_ns && bytes == other.bytes;
  }
};
/// None where it cannot be looked at now, or is no file.
[[nodiscard]] std::optional<FileMark> mark_of(const std::filesystem::path& path);

/// Reports that no process sends in its life: one each 10 ms is 2^36 after 21 years.
inline constexpr std::uint64_t kReportsOfProcess = std::uint64_t{1} << 36;

/// A counted file that is no longer in the folder.
struct GoneFile {
  FileMark mark;
  std::string name;
  auto operator<=>(const GoneFile&) const = default;
};

/// What recordings add up to, and which they were: the two are written together, so that no file is counted twice.
struct RecordedCounts {
  /// Milliseconds since 1970 when the first of them was counted.
  std::uint64_t incarnation = 0;
  /// The process that wrote this numbers its reports from here on.
  std::uint64_t reports_from = 0;
  /// Empty before the first.
  std::vector<int> layer_ids;
  std::size_t experts = 0;
  /// By index_of() their stage.
  std::array<std::optional<StageLoad>, kAllStages.size()> counts;
  /// By name, those that are still in the folder.
  std::map<std::string, FileMark> files;
  /// Those that come back are not counted again. The one written first comes first.
  std::set<GoneFile> gone;

  [[nodiscard]] bool has_model() const { return !layer_ids.empty(); }
  [[nodiscard]] std::vector<StageLoad> stages() const;
};

/// How engines' files are read.
struct RecordingOptions {
  ReadOptions read;
  /// Experts a token chooses: loads count choices, not tokens.
  std::uint64_t top_k = 1;
  /// Counted files that are remembered once they are gone, those written last: 45 days of one a minute, and 5 MB of
  /// the state.
  std::size_t gone_files_max = 65'536;
};

/// What one recording counts. Fails with kInvalidInput, naming the file.
[[nodiscard]] Result<RecordedCounts> count_recording(const std::filesystem::path& path,
                                                     const RecordingOptions& options);

/// Adds `more` to `sum`, which takes its layers and experts where it has none. Fails with kInvalidInput, leaving `sum`
/// as it was, where they differ or would count beyond the limit of the wire.
[[nodiscard]] Status add(RecordedCounts& sum, const RecordedCounts& more, const std::filesystem::path& path);

/// Reads what write_counts() has written; fresh counts where there is no such file. Fails with kInvalidInput, and with
/// kFailure where it cannot be told whether there is one.
[[nodiscard]] Result<RecordedCounts> read_counts(const std::filesystem::path& path);
/// Puts the file in its place as a whole, on the disk. Fails with kFailure.
[[nodiscard]] Status write_counts(const std::filesystem::path& path, const RecordedCounts& counts);

}  // namespace evenkeel::agent
