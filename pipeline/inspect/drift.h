#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "pipeline/inspect/trace_parts.h"

namespace evenkeel {

/// How far the load shares of two parts of a trace lie apart. Layers without load in one of the two do not count;
/// figures are absent where no layer counts.
struct LoadDistance {
  /// Numbers of the two parts.
  std::size_t from;
  std::size_t to;
  /// Total-variation distance of each layer's load shares, 1/2 sum |p - q|: the share of the load that would have to
  /// move to another expert, 0 to 1 [layers].
  std::vector<std::optional<double>> variation_by_layer;
  /// Mean and largest over layers, and the layer (a row of the tables) that has the largest.
  std::optional<double> variation_mean;
  std::optional<double> variation_worst;
  std::size_t worst_layer = 0;
  /// Cosine similarity of the loads, mean over layers: 1 is the same mixture.
  std::optional<double> cosine_mean;
  /// What `variation_mean` would be by sampling alone, without any drift.
  std::optional<double> noise_mean;
};

/// Distances between consecutive parts, and from the first to the last.
struct Drift {
  TraceParts parts;
  std::vector<LoadDistance> steps;
  LoadDistance first_to_last;
};

/// Distance of the loads of two parts, without the noise.
[[nodiscard]] LoadDistance load_distance(const TraceParts& parts, std::size_t from, std::size_t to);

/// Drift over at least two parts. The noise is measured, where there are sequences, by dealing them at random to parts
/// of the same numbers of sequences, 8 times over; where there are loads only it is the expectation for independent
/// tokens, a lower bound. Equal seeds give equal results on any number of threads. Cost: 8 passes over the token paths.
[[nodiscard]] Drift drift_of(const Trace& trace, TraceParts parts, std::uint64_t seed, std::size_t threads);

}  // namespace evenkeel
