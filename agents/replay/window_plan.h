#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "agents/wire/message.h"
#include "partition/foundation/result.h"
#include "pipeline/trace/trace.h"

namespace evenkeel::replay {

/// One rank's share of a trace, window by window.
struct WindowPlan {
  /// Sequences of this rank in each window, in file order; every rank has every window, if only with none.
  std::vector<std::vector<std::size_t>> sequences;
  /// The trace itself says where windows end; else they are 8 sequences a rank.
  bool is_tagged = false;
};

/// Sequence i is rank i mod `world`'s. Fails with kInvalidInput where the trace has no token paths, or none for this
/// rank.
[[nodiscard]] Result<WindowPlan> plan_windows(const Trace& trace, std::uint32_t rank, std::uint32_t world);

/// What a worker records of a piece of a sequence: each layer's choices, those of several rounds side by side.
class Choices {
 public:
  explicit Choices(const Trace& trace);

  /// Choices of a token in a layer.
  [[nodiscard]] std::size_t top_k() const { return top_k_; }
  /// Ids of the tokens in a layer [tokens, top_k]; -1 where a choice is empty. Valid until the next call.
  [[nodiscard]] std::span<const std::int32_t> of(std::size_t layer, std::uint64_t first_token, std::size_t tokens);

 private:
  const Trace* trace_;
  std::vector<std::vector<std::size_t>> rounds_of_layer_;
  std::size_t top_k_ = 0;
  std::vector<std::int32_t> ids_;
};

[[nodiscard]] Stage stage_of(const Trace& trace, std::size_t sequence);

}  // namespace evenkeel::replay
