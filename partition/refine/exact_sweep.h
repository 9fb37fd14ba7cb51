#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "partition/model/arrangement.h"
#include "partition/model/budget.h"

namespace evenkeel {

/// What a sweep of exact solves did.
struct SweepReport {
  /// Solves made, and those of them that ended with a proof.
  std::size_t solves = 0;
  std::size_t closed = 0;
};

/// Re-solves one layer after the other exactly with GLPK, its neighbours fixed and its load within its cap [layers],
/// until no layer changes or the budget ends; layers are visited again when a neighbour has changed. Communication
/// never rises. Needs traffic and an arrangement within the caps. Layers with several rounds are left as they are
/// (their own traffic is quadratic).
SweepReport sweep_layers(Arrangement& arrangement, std::span<const std::int64_t> cap_units, Budget& budget);

}  // namespace evenkeel
