#pragma once

#include <string>
#include <vector>

#include "pipeline/trace/recording.h"

namespace evenkeel::testing {

/// Keeps all that reaches it.
class CollectingSink : public RecordingSink {
 public:
  struct Sequence {
    SequenceLabel label;
    std::vector<ExpertIndex> experts;
  };

  Status begin(const std::string& path, const RecordingHeader& header) override {
    paths.push_back(path);
    headers.push_back(header);
    return {};
  }
  Status loads(LoadWindow window) override {
    windows.push_back(std::move(window));
    return {};
  }
  Status begin_sequence(const SequenceLabel& label) override {
    sequences.push_back({label, {}});
    return {};
  }
  Status tokens(std::span<const ExpertIndex> experts) override {
    sequences.back().experts.insert(sequences.back().experts.end(), experts.begin(), experts.end());
    return {};
  }
  Status end() override {
    ++ends;
    return {};
  }

  std::vector<std::string> paths;
  std::vector<RecordingHeader> headers;
  std::vector<LoadWindow> windows;
  std::vector<Sequence> sequences;
  int ends = 0;
};

}  // namespace evenkeel::testing
