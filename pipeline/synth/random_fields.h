#pragma once

#include <Eigen/Core>

#include "partition/foundation/random.h"

namespace evenkeel {

/// Purposes that random numbers are drawn for, so that no two share a stream.
enum class SynthStream : std::uint64_t { kTraffic, kRouter, kCalibration, kTokens };

/// The stream of one work item of one purpose.
[[nodiscard]] inline Random synth_random(std::uint64_t seed, SynthStream purpose, std::uint64_t item) {
  return {splitmix64(seed) + static_cast<std::uint64_t>(purpose), item};
}

/// Uniform in (0, 1), both ends excluded, with 53 bits.
[[nodiscard]] inline double unit_interval(Random& random) {
  return (static_cast<double>(random.next() >> 12) + 0.5) * 0x1p-52;
}

/// Fills with independent standard normal numbers (Box and Muller 1958).
void fill_normal(Random& random, Eigen::Ref<Eigen::MatrixXf> out);

/// Fills with independent standard Gumbel numbers, -log(-log u): added to logits, they make the largest a draw from
/// their softmax.
void fill_gumbel(Random& random, Eigen::Ref<Eigen::MatrixXf> out);

}  // namespace evenkeel
