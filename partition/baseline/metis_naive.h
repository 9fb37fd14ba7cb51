#pragma once

#include <chrono>
#include <cstdint>

#include "partition/model/instance.h"

namespace evenkeel {

/// METIS as one would use it first: its k-way partition of the layer-expert graph straight to GPUs, edges weighed by
/// traffic, vertices by load, its default imbalance of 3 %. One balance constraint says nothing about layers, so METIS
/// cuts the chain of layers into pipeline stages and most slots are wrong; they are repaired with the least loss of
/// traffic kept. metis_layered_assignment() is what works. Without traffic items are dealt out in turn. Deterministic
/// for a seed. Not interruptible.
[[nodiscard]] Assignment metis_naive_assignment(const Instance& instance, std::uint64_t seed);

/// What a call takes on a machine of 2024, from the number of edges: 0.5 us each (2 s at 58 x 256), repair
/// included.
[[nodiscard]] std::chrono::duration<double> metis_naive_estimate(const Instance& instance);

}  // namespace evenkeel
