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
#include "partition/foundation/result.h"

namespace evenkeel::agent {

/// A folder into which an engine writes recordings, and what all finished ones add up to. A file is finished when it is
/// as it was at the look before, and not written to for two seconds: engines do not move theirs into place. Each is
/// counted once, also over restarts, under another name, and when it was gone for a while. Not thread-safe. Cost of a
/// look: a stat a file; a new file is read as a whole.
class RecordingsFolder {
 public:
  using Observer = std::function<void(const wire::Note&)>;

  /// Fails with kInvalidInput where the folder is none or the state cannot be read, with kFailure where the state
  /// cannot be written.
  [[nodiscard]] static Result<RecordingsFolder> open(std::filesystem::path folder, std::filesystem::path state,
                                                     RecordingOptions options, Observer observer);

  /// Counts what is finished and new. A file that cannot be read is told of once, and again when it has changed. A
  /// folder that cannot be read, or a state that is no longer the one this object wrote, is told of once, and while it
  /// is so a look changes nothing: a disk that is unmounted takes both away. A state that appears before anything is
  /// counted is gone on from. Fails with kFailure where the state cannot be written, as what is reported must be on the
  /// disk, and with kInvalidInput where one that appears cannot be read.
  [[nodiscard]] Status look();

  [[nodiscard]] const RecordedCounts& counts() const { return counts_; }
  /// Files counted and refused since the start.
  [[nodiscard]] std::uint64_t counted() const { return counted_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  RecordingsFolder(std::filesystem::path folder, std::filesystem::path state, RecordingOptions options,
                   Observer observer);

  /// By name; without a mark, one that cannot be looked at now.
  using Files = std::map<std::string, std::optional<FileMark>>;
  /// Why not, where the folder cannot be read as a whole.
  [[nodiscard]] tl::expected<Files, std::error_code> files() const;
  /// Goes on from the state where there is one, with numbers of reports of its own.
  [[nodiscard]] Status take_state();
  [[nodiscard]] Status write(RecordedCounts counts);
  /// Nobody has removed or replaced it.
  [[nodiscard]] bool is_state_ours() const;
  void notice_gone(const Files& there);
  [[nodiscard]] bool is_finished(const std::string& name, const FileMark& mark) const;
  /// Whether this was counted, under this name or another; forgets it where it was gone.
  [[nodiscard]] bool has_come_back(const std::string& name, const FileMark& mark);
  [[nodiscard]] Status take(const std::string& name, const FileMark& mark);

  std::filesystem::path folder_;
  std::filesystem::path state_;
  RecordingOptions options_;
  Observer observer_;
  RecordedCounts counts_;
  /// As this object has left it; none before it is written.
  std::optional<FileMark> state_mark_;
  /// At the look before.
  Files seen_;
  std::string unreadable_;
  std::map<std::string, FileMark> refused_files_;
  std::uint64_t counted_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace evenkeel::agent
