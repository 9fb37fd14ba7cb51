#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/trace/recording.h"

namespace evenkeel {

/// Layers a recording may have, several times those of the largest models.
inline constexpr std::size_t kLayersMax = 4096;
/// Largest number of a layer: engines' maps have a row for every hidden layer up to the last.
inline constexpr std::int64_t kLayerIdMax = 9999;
/// Experts a token may choose in a round.
inline constexpr std::size_t kTopKMax = 256;
/// Largest count of tokens in a recording: above it a double, which JSON numbers are, no longer holds every whole
/// number.
inline constexpr std::uint64_t kCountMax = std::uint64_t{1} << 53;

/// A count of tokens; empty where it is negative, fractional or above kCountMax.
[[nodiscard]] std::optional<std::uint64_t> whole_count(double number);

/// Holds the experts a recording of loads counts against kExpertsMax and against the experts of the options. Fails with
/// kInvalidInput, naming `path`.
[[nodiscard]] Status check_experts(const std::string& path, std::size_t experts, const ReadOptions& options);

/// What a message on one expert too many adds, where `found` is one more than `experts`: engines can fuse a shared
/// expert into the routed ones. Empty otherwise.
[[nodiscard]] std::string fused_expert_hint(std::size_t found, std::size_t experts);

/// Tells the reader's caller that `done` of `total` bytes (or items) are read.
void report_progress(const ReadOptions& options, std::uint64_t done, std::uint64_t total);

/// The layers of a recording whose rows have no numbers of their own.
struct RowLayers {
  /// Numbers of the layers, ascending.
  std::vector<int> layer_ids;
  /// Index into layer_ids of each row; empty for the row of a dense layer [rows].
  std::vector<std::optional<std::uint32_t>> layer_of_row;
};

/// As layers_of_rows, with the layers in order and each once. Fails with kInvalidInput, naming `where`.
[[nodiscard]] Result<RowLayers> number_rows(std::size_t rows, const ReadOptions& options, const std::string& where);

}  // namespace evenkeel
