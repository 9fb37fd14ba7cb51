#pragma once

#include <string>
#include <vector>

#include "pipeline/trace/recording.h"

namespace evenkeel::testing {

/// Keeps what a reader hands on, in order.
class CollectingSink : public RecordingSink {
 public:
  struct Sequence {
    SequenceLabel label;
    std::vector<ExpertIndex> experts;
  };

  Status begin(const std::string& path, const RecordingHeader& header) override {
    calls.push_back("begin");
    paths.push_back(path);
    headers.push_back(header);
    return {};
  }
  Status loads(StageLoad window) override {
    calls.push_back("loads");
    windows.push_back(std::move(window));
    if (windows.size() == fail_at_window) return failure("the sink is full");
    return {};
  }
  Status begin_sequence(const SequenceLabel& label) override {
    calls.push_back("begin_sequence");
    sequences.push_back({label, {}});
    return {};
  }
  Status tokens(std::span<const ExpertIndex> pieces) override {
    calls.push_back("tokens");
    experts.insert(experts.end(), pieces.begin(), pieces.end());
    auto& present = sequences.back().experts;
    present.insert(present.end(), pieces.begin(), pieces.end());
    return {};
  }
  Status end() override {
    calls.push_back("end");
    return {};
  }

  /// Loads of a layer in a window.
  [[nodiscard]] std::vector<std::uint64_t> load(std::size_t window, std::size_t layer) const {
    const auto row = windows[window].load_tokens[layer];
    return {row.begin(), row.end()};
  }

  std::vector<std::string> calls;
  std::vector<std::string> paths;
  std::vector<RecordingHeader> headers;
  std::vector<StageLoad> windows;
  std::vector<Sequence> sequences;
  /// Of all sequences.
  std::vector<ExpertIndex> experts;
  /// Number of the window, from 1, at which the sink fails; 0: never.
  std::size_t fail_at_window = 0;
};

/// A malformed input and words its message must have.
struct Malformed {
  std::string content;
  std::string words;
};

/// What is wrong with a reader's answer to a malformed input; empty: it is refused as it should be.
inline std::string complaint(const Status& status, const std::string& file, const std::string& words) {
  if (status) return "accepted, but expected: " + words;
  const std::string& message = status.error().message;
  if (status.error().code != ErrorCode::kInvalidInput) return "another error code: " + message;
  if (message.find(words) == std::string::npos) return "expected '" + words + "' in: " + message;
  if (message.find(file) == std::string::npos) return "no file in: " + message;
  return message.find('\n') == std::string::npos ? "" : "several lines: " + message;
}

}  // namespace evenkeel::testing
