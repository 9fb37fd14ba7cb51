#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/profile/load_counter.h"
#include "pipeline/profile/path_sample.h"
#include "pipeline/profile/window_cutter.h"
#include "pipeline/trace/recording.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

struct ProfileOptions {
  WindowUnit window_unit = WindowUnit::kRecorded;
  /// Units in a window; not used for recorded windows.
  std::uint64_t window_size = 1;
  /// Windows left out at the start: warm-up.
  std::size_t skip_windows = 0;
  /// Only traffic of this stage.
  std::optional<Stage> stage = {};
  /// Token paths kept at most. At 58 layers and top-8 a token takes 928 bytes.
  std::size_t sample_tokens_max = std::size_t{1} << 18;
};

/// Adds recordings of one model up into windows of exact loads, one for each stage, and a sample of token paths.
/// Memory: windows x layers x experts, and the sample; at most 1 GiB of windows is accepted.
class Profiler : public RecordingSink {
 public:
  explicit Profiler(ProfileOptions options);

  Status begin(const std::string& path, const RecordingHeader& header) override;
  Status loads(StageLoad window) override;
  Status begin_sequence(const SequenceLabel& label) override;
  Status tokens(std::span<const ExpertIndex> experts) override;

  /// Tokens read so far of the recordings' token paths.
  [[nodiscard]] std::uint64_t tokens_read() const { return tokens_read_; }
  /// The profile. Its undecided layers, which had no load even in traffic that was left out, keep their rows. Fails
  /// with kInvalidInput where nothing is left of the recordings.
  [[nodiscard]] Result<Trace> finish();

 private:
  /// Windows are told apart by number, then by the name of their stage.
  struct Key {
    std::uint32_t window = 0;
    Stage stage = Stage::kMixed;
    auto operator<=>(const Key& other) const {
      return std::pair(window, stage_name(stage)) <=> std::pair(other.window, stage_name(other.stage));
    }
  };

  [[nodiscard]] bool takes(const Key& key) const;
  /// Adds to the window's loads so far.
  Status add(const Key& key, const Grid<std::uint64_t>& load);
  /// Closes the counters of the window that was counted.
  Status flush();
  /// Number of experts of the model.
  [[nodiscard]] std::size_t experts() const;
  /// Notes which layers have load in traffic that is left out.
  void see(const Grid<std::uint64_t>& load);
  void see(std::span<const ExpertIndex> experts);
  /// Layers that neither a recording nor load makes MoE layers.
  [[nodiscard]] std::vector<int> undecided_layers(const Trace& profile) const;
  /// The sampled tokens as sequences, and the window of each.
  void give_paths(Trace& trace) const;

  ProfileOptions options_;
  WindowCutter cutter_;
  std::optional<RecordingHeader> first_;
  std::string first_path_;
  /// Of the present recording.
  std::string path_;
  RecordingHeader header_;
  std::vector<Key> window_of_loads_;

  bool are_experts_stated_ = true;
  std::optional<std::size_t> hidden_layers_;
  /// Named by a recording, or seen to have load in traffic that is left out.
  std::set<int> moe_layers_;
  std::map<Key, Grid<std::uint64_t>> windows_;
  /// Counts by stage of the window being counted.
  std::map<Stage, LoadCounter, StageByName> counters_;
  std::uint32_t counted_window_ = 0;
  std::optional<PathSample> sample_;
  std::vector<Key> window_of_sequence_;
  /// Where tokens of the present sequence are counted; none where they are left out or their loads came already.
  LoadCounter* counter_ = nullptr;
  bool is_taken_ = false;
  std::uint64_t tokens_read_ = 0;
};

}  // namespace evenkeel
