#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// What windows are counted in; sequences are never cut.
enum class WindowUnit {
  kRecorded,   ///< As the recording has them; all of it is one, where it has none.
  kTokens,     ///< A window ends after so many tokens.
  kSequences,  ///< After so many sequences, or recorded windows where there are loads.
  kSeconds,    ///< After so many seconds, by the recorded times.
};

/// Numbers the windows of recordings that are read one after the other, from 0.
class WindowCutter {
 public:
  /// `size`: units in a window, at least 1; not used for recorded windows.
  WindowCutter(WindowUnit unit, std::uint64_t size) : unit_(unit), size_(size) {}

  /// A recording begins; `path` is for messages. Its own window numbers follow those of the one before.
  void begin(const std::string& path);
  /// The window of the sequence that begins. Fails with kInvalidInput where times are asked for and missing, or fall.
  [[nodiscard]] Result<std::uint32_t> sequence(const SequenceLabel& label);
  /// So many tokens of the sequence were read.
  void tokens(std::uint64_t count) {
    if (unit_ == WindowUnit::kTokens) filled_ += count;
  }
  /// The window of the recording's load window `index`. Fails with kInvalidInput for units that loads do not have.
  [[nodiscard]] Result<std::uint32_t> loads(std::uint32_t index);

 private:
  /// The window that the next unit goes to.
  std::uint32_t next();
  Result<std::uint32_t> by_seconds(std::optional<double> seconds);

  WindowUnit unit_;
  std::uint64_t size_;
  std::string path_;
  /// Numbers of a recording's own windows count from here.
  std::uint32_t first_ = 0;
  std::uint32_t beyond_ = 0;
  std::uint32_t present_ = 0;
  /// Units in the present window so far.
  std::uint64_t filled_ = 0;
  std::optional<double> first_seconds_;
};

}  // namespace evenkeel
