#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "partition/model/routing_profile.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Receives each window of a day once, in order, as a profile with a window a stage and the window's token paths where
/// there are some. Where only loads are known, a stage's tokens are choices of its busiest layer over the top-k. A
/// failure ends the replay and is handed on.
using WindowTaker = std::function<Status(const RoutingProfile& window)>;

/// Cuts recordings into the windows they have: loads as they come, one window at a time, so that a recording of any
/// length takes the memory of one; token paths are kept until the end, for their experts are known only then.
/// Consecutive windows of loads whose stages ascend by name are one window, as `evenkeel profile` writes them.
class WindowReader : public RecordingSink {
 public:
  /// `top_k` of the model, where it is known: recordings of loads do not tell.
  WindowReader(std::optional<std::size_t> experts, std::optional<std::size_t> top_k, WindowTaker take)
      : experts_(experts),
        top_k_(top_k.value_or(kTopKOtherwise)),
        is_top_k_known_(top_k.has_value()),
        take_(std::move(take)) {}

  Status begin(const std::string& path, const RecordingHeader& header) override;
  Status loads(StageLoad window) override;
  Status begin_sequence(const SequenceLabel& label) override;
  Status tokens(std::span<const ExpertIndex> experts) override;

  /// Hands on what is left. Fails with kInvalidInput where there was no window.
  Status finish();
  [[nodiscard]] std::size_t windows() const { return windows_; }
  /// Whether windows are of loads, without the traffic between layers.
  [[nodiscard]] bool has_loads() const { return first_ && first_->has_loads; }
  /// Whether nothing told the top-k.
  [[nodiscard]] bool assumes_top_k() const { return first_ && !is_top_k_known_; }

  /// That of DeepSeek-V3, whose figures are the step-time model's other defaults.
  static constexpr std::size_t kTopKOtherwise = 8;

 private:
  struct Sequence {
    Stage stage;
    std::vector<ExpertIndex> experts;
  };

  Status take_loads();
  Status take_paths(const std::vector<Sequence>& sequences, std::size_t experts);

  std::optional<std::size_t> experts_;
  std::size_t top_k_;
  bool is_top_k_known_;
  WindowTaker take_;
  std::string path_;
  std::optional<RecordingHeader> first_;
  std::vector<StageLoad> present_;
  /// Token paths by window number.
  std::map<std::uint32_t, std::vector<Sequence>> sequences_;
  /// Windows of a recording count from here.
  std::uint32_t first_window_ = 0;
  Sequence* sequence_ = nullptr;
  ExpertIndex largest_ = 0;
  std::size_t path_bytes_ = 0;
  std::size_t windows_ = 0;
};

}  // namespace evenkeel
