#pragma once

#include <chrono>
#include <cstdint>

#include "partition/model/instance.h"

namespace evenkeel {

/// METIS on each layer's graph of co-activations, for dispatch: an edge weighs the tokens that chose both items. Nodes
/// first, then GPUs; slots repaired. Loads are not looked at. A few ms a layer. Needs token sets. Deterministic for a
/// seed.
[[nodiscard]] Assignment metis_coactivation_assignment(const Instance& instance, std::uint64_t seed);

/// What a call takes on a machine of 2024.
[[nodiscard]] std::chrono::duration<double> metis_coactivation_estimate(const Instance& instance);

}  // namespace evenkeel
