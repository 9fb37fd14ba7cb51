#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "partition/model/cluster.h"
#include "partition/model/instance.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Objective, bound and gap on the fitting data.
struct Certificate {
  /// Loads alone: mean of max / mean. Resident and dispatch: the communication of step 2. Weighted: J.
  double value = 0;
  /// No placement is below this. Absent for dispatch, and where its time was not given.
  std::optional<double> bound;
  /// (value - bound) / bound; absent without a bound or where it is 0.
  std::optional<double> gap;
  /// Lower bound of each layer's largest GPU load, as a ratio to the layer's mean [layers].
  std::vector<double> load_bound;
  /// Best largest GPU load found for each layer, as a ratio to its mean [layers]: what the slack applies to.
  std::vector<double> z_star;
  /// Where load is modelled time: no placement's modelled step time is below this.
  std::optional<std::chrono::duration<double>> step_time_bound = std::nullopt;
};

/// Lower bound of each layer's largest GPU load [layers], in tokens.
[[nodiscard]] std::vector<double> load_bounds(const RoutingProfile& profile, std::size_t gpus, std::size_t redundant);

/// max / mean load of each layer of a placement [layers], weighed by the GPUs' speeds; 0 for a layer without load.
[[nodiscard]] std::vector<double> peak_ratios(const RoutingProfile& profile, const Placement& placement,
                                              const Cluster& cluster = {});

/// Mean over the layers that are not 0; 0 where all are.
[[nodiscard]] double mean_of_loaded(const std::vector<double>& ratios);

/// The objective of a placement, computed from the profile, apart from what solvers keep. Null bound and gap.
[[nodiscard]] Certificate value_of(const RoutingProfile& profile, const Cluster& cluster, const Objective& objective,
                                   const Placement& placement);

/// Sets the bound and the gap: the load bounds, and with weights or traffic the bound on communication of
/// `communication_bound`; leaves them absent where that is needed and not given.
void set_bound(const Objective& objective, bool has_paths, std::optional<double> communication_bound,
               Certificate& certificate);
void set_bound(double bound, Certificate& certificate);

/// Iterations that a bound on resident communication may improve itself by within so many seconds; absent where not
/// even the first bound fits.
[[nodiscard]] std::optional<std::size_t> bound_iterations(const Instance& instance, double seconds);

}  // namespace evenkeel
