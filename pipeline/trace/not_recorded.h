#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Tells what was recorded from what engines' zero-filled arrays hold where nothing was: k equal ids for a token in a
/// layer, which no router chooses. Such a row becomes "no expert", and a token of nothing else is left out. With top-1
/// the two look alike; there a layer that names one expert throughout is refused unless the model is known.
class NotRecorded {
 public:
  explicit NotRecorded(const ReadOptions& options) : options_(options) {}

  /// Recordings of one run come one after the other and are counted together.
  void begin(const std::string& path, const RecordingHeader& header);
  /// What was recorded of whole tokens [tokens, rounds, top_k]; valid until the next call. Cost: about a nanosecond a
  /// token and round.
  [[nodiscard]] std::span<const ExpertIndex> recorded(std::span<const ExpertIndex> experts);
  /// Tells the options' note what was not recorded. Fails with kInvalidInput where that is all, or cannot be told.
  [[nodiscard]] Status finish() const;

 private:
  [[nodiscard]] bool is_unrecorded(std::span<const ExpertIndex> row) const;
  [[nodiscard]] bool find_unrecorded(std::span<const ExpertIndex> experts);
  void add_token(std::span<const ExpertIndex> token);
  void follow_single_choices(std::span<const ExpertIndex> experts);
  /// Whether the options say which rows are MoE layers.
  [[nodiscard]] bool knows_layers() const { return !options_.model.empty() || !options_.moe_layer_ids.empty(); }
  [[nodiscard]] bool is_nothing_recorded() const;
  [[nodiscard]] Status check_single_choices() const;
  [[nodiscard]] std::string rows_text() const;
  [[nodiscard]] std::string files() const;

  /// One round over all recordings.
  struct Round {
    /// Some token has a choice there.
    bool is_recorded = false;
    /// Tokens that stay and have k equal ids there.
    std::uint64_t unrecorded_tokens = 0;
    /// With top-1: the expert that every token so far names, and whether there are several.
    std::optional<ExpertIndex> only;
    bool varies = false;
  };

  const ReadOptions& options_;
  std::string path_;
  std::size_t files_ = 0;
  RecordingHeader header_;
  std::vector<Round> rounds_;
  std::uint64_t tokens_ = 0;
  std::uint64_t left_out_tokens_ = 0;
  std::vector<ExpertIndex> kept_;
};

}  // namespace evenkeel
