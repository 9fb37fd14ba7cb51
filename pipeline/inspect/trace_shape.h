#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "pipeline/trace/trace.h"

namespace evenkeel {

/// What a trace holds, before any figure is made from it.
struct TraceShape {
  ModelShape model;
  /// Row of the model's layers each routing decision belongs to [rounds]; empty without token paths.
  std::vector<std::uint32_t> layer_of_round;
  /// Experts a token chooses in a round; absent without token paths, as are all the others.
  std::optional<std::size_t> top_k;
  std::optional<std::size_t> tokens;
  std::optional<std::size_t> sequences;
  /// Share of the tokens' choices that name no expert (null experts, padding).
  std::optional<double> null_share;
  /// Windows that the trace itself marks; 0: none.
  std::size_t windows = 0;
  /// Stages that the trace names, in alphabetical order; empty: none.
  std::vector<Stage> stages;
};

/// Pure. Cost: one pass over the token paths.
[[nodiscard]] TraceShape shape_of(const Trace& trace);

}  // namespace evenkeel
