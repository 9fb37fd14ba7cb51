#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "partition/foundation/grid.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// Where the windows that are compared come from.
enum class PartSource {
  kMarked,    ///< The trace marks windows on its sequences.
  kLoads,     ///< The trace is windows of loads.
  kSequences  ///< The trace marks none: its sequences in file order, cut into equal parts.
};

/// A trace cut into parts of which the loads are compared: windows, or stages.
struct TraceParts {
  PartSource source = PartSource::kMarked;
  /// What each part is called: number of the window, or name of the stage.
  std::vector<std::string> names;
  /// Part of each sequence [sequences]; empty where the trace has loads only.
  std::vector<std::uint32_t> part_of_sequence;
  /// Loads of each part [parts] of [layers, experts].
  std::vector<Grid<std::uint64_t>> load_tokens;

  [[nodiscard]] std::size_t size() const { return names.size(); }
};

/// The windows of a trace, in order: as it has them, or its sequences cut into `parts` parts (the i-th of n in part
/// floor(i parts / n); fewer where there are fewer sequences). Absent where there is but one. Pure.
[[nodiscard]] std::optional<TraceParts> windows_of(const Trace& trace, std::size_t parts);

/// The stages of a trace, in alphabetical order. Absent where it names fewer than two. Pure.
[[nodiscard]] std::optional<TraceParts> stages_of(const Trace& trace);

/// Loads of each part where sequence i is in part_of_sequence[i]. Cost: one pass over the token paths.
[[nodiscard]] std::vector<Grid<std::uint64_t>> loads_of_parts(const Trace& trace,
                                                              const std::vector<std::uint32_t>& part_of_sequence,
                                                              std::size_t parts);

}  // namespace evenkeel
