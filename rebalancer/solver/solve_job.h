#pragma once

#include <string>
#include <string_view>

#include "partition/adaptive/plan_request.h"
#include "partition/foundation/result.h"
#include "partition/model/placement.h"

namespace evenkeel::rebalancer {

struct SolveAnswer {
  Result<Placement> placement;
  double solve_seconds = 0;
};

/// As one msgpack value, for the pipe between a rebalancer and its child of the same build: no contract, no versions.
/// Pure. Placements have an even split.
[[nodiscard]] std::string encode(const PlanRequest& request);
[[nodiscard]] std::string encode(const SolveAnswer& answer);
/// Fail with kFailure for anything but what encode() writes; placements have passed Placement::create(), and all tables
/// of a request have its shape.
[[nodiscard]] Result<PlanRequest> decode_request(std::string_view bytes);
[[nodiscard]] Result<SolveAnswer> decode_answer(std::string_view bytes);

/// Runs the solver. Pure but for the clock.
[[nodiscard]] SolveAnswer solve(const PlanRequest& request);

}  // namespace evenkeel::rebalancer
