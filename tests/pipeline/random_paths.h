#pragma once

#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include "partition/foundation/random.h"
#include "pipeline/trace/trace.h"

namespace evenkeel::testing {

struct RandomPaths {
  std::vector<std::size_t> sequence_tokens{7, 1, 9};
  std::vector<std::uint32_t> layer_of_round{0, 1};
  std::size_t experts = 5;
  std::size_t top_k = 2;
  /// One choice in so many is empty; 0: none.
  std::uint32_t empty_one_in = 6;
};

/// Token paths drawn at random, with neighbours that often choose alike.
inline Trace random_trace(const RandomPaths& shape, std::uint64_t seed) {
  Random random(seed, 0);
  Trace trace;
  trace.shape.experts = shape.experts;
  for (const std::uint32_t layer : shape.layer_of_round) {
    if (layer == trace.shape.layers()) trace.shape.layer_ids.push_back(static_cast<int>(layer) + 3);
  }
  trace.paths.top_k = shape.top_k;
  trace.paths.layer_of_round = shape.layer_of_round;
  trace.paths.sequence_start = {0};
  std::vector<std::vector<ExpertIndex>> order(shape.layer_of_round.size(), std::vector<ExpertIndex>(shape.experts));
  for (auto& experts : order) std::iota(experts.begin(), experts.end(), ExpertIndex{0});
  for (const std::size_t tokens : shape.sequence_tokens) {
    for (std::size_t token = 0; token < tokens; ++token) {
      for (auto& experts : order) {
        if (random.below(2) == 0) random.shuffle(std::span(experts));
        for (std::size_t choice = 0; choice < shape.top_k; ++choice) {
          const bool is_empty = shape.empty_one_in > 0 && random.below(shape.empty_one_in) == 0;
          trace.paths.experts.push_back(is_empty ? kNoExpert : experts[choice]);
        }
      }
    }
    trace.paths.sequence_start.push_back(trace.paths.sequence_start.back() + tokens);
  }
  return trace;
}

}  // namespace evenkeel::testing
