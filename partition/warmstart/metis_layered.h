#pragma once

#include <chrono>
#include <cstdint>

#include "partition/model/instance.h"

namespace evenkeel {

/// METIS on the layer-expert graph with one balance constraint a layer, edges weighed by lift max(0, R - P P'), first
/// to nodes, then inside each node. With a single constraint METIS would cut the chain of layers into pipeline stages;
/// a constraint a layer makes every part hold its share of every layer. Slots that METIS missed are repaired with the
/// least loss of traffic kept. Loads are not looked at. Needs traffic. Deterministic for a seed. Not interruptible.
[[nodiscard]] Assignment metis_layered_assignment(const Instance& instance, std::uint64_t seed);

/// What a call takes on a machine of 2024, from the number of edges: 4 us each (0.5 s at 26 x 64, 10 s at 58 x 256).
[[nodiscard]] std::chrono::duration<double> metis_layered_estimate(const Instance& instance);

}  // namespace evenkeel
