#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Hands recordings on, their headers after the options' check and with what the options know. Where the MoE layers are
/// known, their rows alone are handed on, loaded or not. Fails with kInvalidInput, naming recording and layer, where a
/// recording lacks one of them, or a dense layer has load: then it is of another model.
class KnownLayersSink : public RecordingSink {
 public:
  /// Both outlive it.
  KnownLayersSink(const ReadOptions& options, RecordingSink& sink) : options_(options), sink_(sink) {}

  Status begin(const std::string& path, const RecordingHeader& header) override;
  Status loads(StageLoad window) override;
  Status begin_sequence(const SequenceLabel& label) override { return sink_.begin_sequence(label); }
  Status tokens(std::span<const ExpertIndex> experts) override;
  Status end() override { return sink_.end(); }

 private:
  /// The header without rows of dense layers.
  Result<RecordingHeader> with_known_layers(const RecordingHeader& header);
  [[nodiscard]] tl::unexpected<Error> dense_with_load(int layer) const;

  const ReadOptions& options_;
  RecordingSink& sink_;
  /// Of the present recording.
  std::string path_;
  RecordingHeader header_;
  bool has_dense_ = false;
  /// Row among those handed on of each row that comes; none for a dense layer [layers].
  std::vector<std::optional<std::uint32_t>> new_row_;
  std::vector<ExpertIndex> kept_;
};

}  // namespace evenkeel
