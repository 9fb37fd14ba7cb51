#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "partition/foundation/budget.h"
#include "partition/model/arrangement.h"
#include "partition/problem/block_report.h"

namespace evenkeel {

/// Re-solves layers exactly with GLPK, most expected gain first, the others fixed and loads within the caps [layers],
/// until no layer changes or the slice ends; a layer is visited again when a neighbour has changed. Communication never
/// rises. Needs traffic and an arrangement within the caps. Layers with several rounds are left as they are (their own
/// traffic is quadratic).
BlockReport sweep_layers(Arrangement& arrangement, std::span<const std::int64_t> cap_units, BudgetSlice& slice);

/// What one look at every layer takes on a machine of 2024: a first relaxation of items x GPUs columns each (5 ms at 64
/// x 8, 1.2 s at 256 x 32).
[[nodiscard]] std::chrono::duration<double> sweep_estimate(const Instance& instance);

/// Re-splits the items of two GPUs over a few layers exactly with GLPK, blocks with most traffic between the two GPUs
/// first, until none helps or the slice ends. Communication never rises. Needs traffic in a chain of layers; more than
/// 8 slots a GPU are beyond it, and nothing is done.
BlockReport sweep_pairs(Arrangement& arrangement, std::span<const std::int64_t> cap_units, BudgetSlice& slice);

}  // namespace evenkeel
