#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/wire/limits.h"
#include "agents/wire/message.h"
#include "partition/model/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel::agent {

/// By which a file is known again.
struct FileMark {
  std::uint64_t bytes = 0;
  std::int64_t written_ns = 0;
  bool operator==(const FileMark&) const = default;
};

/// What recordings add up to, and which they were: the two are written together, so that no file is counted twice.
struct RecordedCounts {
  /// Milliseconds since 1970 when the first of them was counted.
  std::uint64_t incarnation = 0;
  /// Empty before the first.
  std::vector<int> layer_ids;
  std::size_t experts = 0;
  /// By wire::Stage.
  std::array<std::optional<wire::StageCounts>, wire::kStagesMax> counts;
  /// By name, those that are still in the folder.
  std::map<std::string, FileMark> files;

  [[nodiscard]] bool has_model() const { return !layer_ids.empty(); }
  [[nodiscard]] std::vector<wire::StageCounts> stages() const;
};

/// How engines' files are read.
struct RecordingOptions {
  ReadOptions read;
  /// Experts a token chooses: loads count choices, not tokens.
  std::uint64_t top_k = 1;
};

/// What one recording counts. Fails with kInvalidInput, naming the file.
[[nodiscard]] Result<RecordedCounts> count_recording(const std::filesystem::path& path,
                                                     const RecordingOptions& options);

/// Adds `more` to `sum`, which takes its layers and experts where it has none. Fails with kInvalidInput, leaving `sum`
/// as it was, where they differ or would count beyond the limit of the wire.
[[nodiscard]] Status add(RecordedCounts& sum, const RecordedCounts& more, const std::filesystem::path& path);

/// Reads what write_counts() has written; fresh counts where there is no such file. Fails with kInvalidInput.
[[nodiscard]] Result<RecordedCounts> read_counts(const std::filesystem::path& path);
/// Puts the file in its place as a whole, on the disk. Fails with kFailure.
[[nodiscard]] Status write_counts(const std::filesystem::path& path, const RecordedCounts& counts);

}  // namespace evenkeel::agent
