#pragma once

#include <filesystem>
#include <functional>

#include "partition/model/model_spec.h"
#include "pipeline/synth/synth_options.h"

namespace evenkeel {

/// What was written.
struct SynthSummary {
  std::uint64_t tokens;
  std::size_t sequences;
  std::size_t rounds;
};

/// Writes a native NPZ trace of made-up traffic through a made-up router of the model's shape. Skew, correlation from
/// layer to layer and differences between kinds of text are like those of recorded traces; which expert is which is
/// not. Equal arguments give equal bytes from one build of the program. Memory: bounded but for 16 bytes a sequence.
/// Fails with kInvalidInput where options or shape are out of range, with kFailure where the file cannot be written.
[[nodiscard]] Result<SynthSummary> write_synthetic_trace(const std::filesystem::path& path, const ModelSpec& model,
                                                         const SynthOptions& options,
                                                         const std::function<void(double)>& progress);

}  // namespace evenkeel
