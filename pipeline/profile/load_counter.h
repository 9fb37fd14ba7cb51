#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"

namespace evenkeel {

/// Counts the tokens each expert is chosen by. The largest expert need not be known beforehand.
class LoadCounter {
 public:
  /// `layer_of_round` [rounds] says which of `layers` rows a round counts in.
  LoadCounter(std::size_t layers, std::vector<std::uint32_t> layer_of_round, std::size_t top_k);

  /// Counts whole tokens [tokens, rounds, top_k]. Cost: about a nanosecond a token and layer for each three choices.
  void count(std::span<const ExpertIndex> tokens);
  /// Whether tokens were counted since the last take().
  [[nodiscard]] bool has_counted() const { return has_counted_; }
  /// What was counted since the last call [layers, experts, and room for more].
  [[nodiscard]] Grid<std::uint64_t> take();

 private:
  void grow(std::size_t experts);
  /// Top-k as a constant for the compiler, or 0: read it.
  template <std::size_t kTopK>
  void count_block(std::span<const ExpertIndex> tokens);
  /// As count_block(), where some choices are none or of very large numbers.
  void count_some(std::span<const ExpertIndex> tokens);

  std::vector<std::uint32_t> layer_of_round_;
  std::size_t top_k_;
  void (LoadCounter::*count_block_)(std::span<const ExpertIndex>);
  Grid<std::uint64_t> table_;
  bool has_counted_ = false;
};

}  // namespace evenkeel
