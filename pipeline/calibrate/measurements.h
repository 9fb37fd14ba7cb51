#pragma once

#include <filesystem>
#include <vector>

#include "partition/foundation/result.h"

namespace evenkeel {

/// A GPU computing its experts of one layer.
struct ComputeMeasurement {
  /// Tokens, once for each expert that they go to.
  double tokens;
  /// Experts that any token goes to.
  double experts;
  double seconds;
};

/// One layer's all-to-all, there and back.
struct TransferMeasurement {
  /// In or out of the busiest GPU, the larger.
  double bytes;
  double seconds;
};

/// What was measured on a cluster.
struct Measurements {
  std::vector<ComputeMeasurement> compute;
  std::vector<TransferMeasurement> intra_node;
  std::vector<TransferMeasurement> inter_node;
  /// Seconds of all that a layer takes beside its experts.
  std::vector<double> other_seconds;
};

/// Reads a CSV file with the columns what, tokens, experts, bytes and seconds (docs/reference/step-time.md). Fails with
/// kInvalidInput, naming file, line, column, value and remedy.
[[nodiscard]] Result<Measurements> read_measurements(const std::filesystem::path& path);

}  // namespace evenkeel
