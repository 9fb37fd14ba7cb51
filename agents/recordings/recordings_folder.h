#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <system_error>

#include "agents/recordings/recorded_counts.h"
#include "agents/wire/note.h"
#include "partition/model/result.h"

namespace evenkeel::agent {

/// A folder into which an engine writes recordings, and what all finished ones add up to. A file is finished when it is
/// as it was at the look before, and not written to for two seconds: engines do not move theirs into place. Each is
/// counted once, also over restarts. Not thread-safe. Cost of a look: a stat a file; a new file is read as a whole.
class RecordingsFolder {
 public:
  using Observer = std::function<void(const wire::Note&)>;

  /// Fails with kInvalidInput where the folder is none or the state cannot be read.
  [[nodiscard]] static Result<RecordingsFolder> open(std::filesystem::path folder, std::filesystem::path state,
                                                     RecordingOptions options, Observer observer);

  /// Counts what is finished and new. A file that cannot be read is told of once, and again when it has changed. Fails
  /// with kFailure where the state cannot be written: what is reported must be on the disk. A folder that cannot be
  /// read is told of once, and a look at it changes nothing.
  [[nodiscard]] Status look();

  [[nodiscard]] const RecordedCounts& counts() const { return counts_; }
  /// Files counted and refused since the start.
  [[nodiscard]] std::uint64_t counted() const { return counted_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  RecordingsFolder(std::filesystem::path folder, std::filesystem::path state, RecordingOptions options,
                   Observer observer, RecordedCounts counts);

  /// By name; without a mark, one that cannot be looked at now.
  using Files = std::map<std::string, std::optional<FileMark>>;
  /// Why not, where the folder cannot be read as a whole.
  [[nodiscard]] tl::expected<Files, std::error_code> files() const;
  [[nodiscard]] bool is_finished(const std::string& name, const FileMark& mark) const;
  [[nodiscard]] Status take(const std::string& name, const FileMark& mark);

  std::filesystem::path folder_;
  std::filesystem::path state_;
  RecordingOptions options_;
  Observer observer_;
  RecordedCounts counts_;
  /// At the look before.
  Files seen_;
  std::error_code unreadable_;
  std::map<std::string, FileMark> refused_files_;
  std::uint64_t counted_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace evenkeel::agent
