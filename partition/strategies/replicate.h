#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "partition/foundation/budget.h"
#include "partition/model/instance.h"
#include "partition/place.h"

namespace evenkeel {

/// Fails with kInfeasible where there are too few redundant slots for a second copy of every expert, naming the
/// smallest number that works; with kInvalidInput where the strategy, or a budget of moves, does not keep it.
[[nodiscard]] Status check_survival(const PlaceOptions& options, std::size_t experts, const Cluster& cluster);

/// An assignment with other copies than the greedy rule's, for the layers that those cannot balance. Absent where there
/// are none, or nothing better is found; else `instance` becomes the instance of the new copies. `bound_units` [layers]
/// are lower bounds of the largest GPU load. Fails as make_instance() does.
[[nodiscard]] Result<std::optional<Assignment>> search_copies(const RoutingProfile& profile, const Cluster& cluster,
                                                              const PlaceOptions& options,
                                                              std::span<const std::int64_t> bound_units, Budget& budget,
                                                              Instance& instance);

/// The placement as the options split and secure it: with loads alone and an uneven split, slots searched for that
/// split; copies of an expert spread over nodes where one is to survive; last the shares.
[[nodiscard]] Placement with_split(const RoutingProfile& profile, const PlaceOptions& options, Budget& budget,
                                   Placement placement);

}  // namespace evenkeel
