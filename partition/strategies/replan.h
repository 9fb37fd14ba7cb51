#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/place.h"

namespace evenkeel {

/// A placement within a budget of moves from the running one, its stages and the best loads found within the budget.
struct Replanned {
  Placement placement;
  /// The placement with the best loads, which the slack applies to.
  Placement balanced;
  /// Slots that still hold an expert their GPU holds too.
  std::size_t duplicates = 0;
  std::vector<StageReport> stages{};
};

/// Needs options with a running placement of the instance's shape and a budget of moves. `bound_units` [layers] are
/// lower bounds of the largest GPU load. Fails as make_instance() does.
[[nodiscard]] Result<Replanned> replan(const RoutingProfile& profile, const Cluster& cluster,
                                       const PlaceOptions& options, const Instance& instance,
                                       std::span<const std::int64_t> bound_units, Budget& budget,
                                       const StageObserver& observer);

/// The placement, GPUs renamed as far as its cost allows, so that the fewest slots move from the running one; layers
/// without load as they run, where they hold no expert twice on a GPU.
[[nodiscard]] Placement with_few_moves(const Placement& running, const Placement& placement,
                                       const RoutingProfile& profile, const Objective& objective);

/// Slots whose GPU did not hold their expert before.
[[nodiscard]] Result<std::size_t> count_moves(const Placement& from, const Placement& to);

/// Fails with kInvalidInput where the running placement is not of the profile, the cluster and so many redundant
/// slots; with slots of the cluster's own it may have had others.
[[nodiscard]] Status check_running(const Placement& running, const RoutingProfile& profile, const Cluster& cluster,
                                   std::size_t redundant);

}  // namespace evenkeel
