#pragma once

#include <chrono>
#include <cstdint>

#include "partition/model/instance.h"

namespace evenkeel {

/// METIS on the layers folded onto one another: items of neighbouring layers are chained by linear assignment on lift,
/// and the chains, as many as a layer has items, are cut into GPUs by all traffic between them. Each part then holds
/// its share of every layer by construction. 5 ms at 26 x 64, 0.2 to 0.4 s at 58 x 256. Loads are not looked at. Needs
/// traffic. Deterministic for a seed.
[[nodiscard]] Assignment metis_folded_assignment(const Instance& instance, std::uint64_t seed);

/// What a call takes on a machine of 2024: chaining grows with layers x items^3, METIS with items^2.
[[nodiscard]] std::chrono::duration<double> metis_folded_estimate(const Instance& instance);

}  // namespace evenkeel
