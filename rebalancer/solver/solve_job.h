#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel::rebalancer {

/// One placement to find, with loads alone.
struct SolveJob {
  Cluster cluster;
  /// Token paths do not travel.
  RoutingProfile profile;
  std::size_t redundant = 0;
  /// Absent: any placement will do.
  std::optional<Placement> running;
  std::size_t moves_max = 0;
  /// Wall time of the search.
  std::chrono::duration<double> time{1.0};
  std::uint64_t seed = 1;
};

struct SolveAnswer {
  Result<Placement> placement;
  double solve_seconds = 0;
};

/// As one msgpack value, for the pipe between a rebalancer and its child of the same build: no contract, no versions.
/// Pure. Placements have an even split.
[[nodiscard]] std::string encode(const SolveJob& job);
[[nodiscard]] std::string encode(const SolveAnswer& answer);
/// Fail with kFailure for anything but what encode() writes; placements have passed Placement::create().
[[nodiscard]] Result<SolveJob> decode_job(std::string_view bytes);
[[nodiscard]] Result<SolveAnswer> decode_answer(std::string_view bytes);

/// Runs the solver: within the budget of moves of a running placement, or without one. Pure but for the clock.
[[nodiscard]] SolveAnswer solve(const SolveJob& job);

}  // namespace evenkeel::rebalancer
