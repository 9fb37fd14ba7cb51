#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "partition/foundation/result.h"
#include "partition/model/cluster.h"
#include "partition/model/instance.h"
#include "partition/model/placement.h"
#include "partition/model/routing_profile.h"
#include "partition/problem/options.h"

namespace evenkeel {

/// Slots of the layers that a profile has load in: what a share of moves is a share of.
[[nodiscard]] std::size_t loaded_slots(const RoutingProfile& profile, std::size_t slots);

/// Traffic, cluster and what is asked for, validated once. The one place that knows which slack applies and what a cap
/// is, which traffic counts, and what a budget of moves allows; only the verifier has code of its own for that.
/// Thread-safe: nothing changes after create().
class Problem {
 public:
  /// `profile` must outlive it. Fails with kInvalidInput for options that are out of range or contradict one another,
  /// the cluster or the running placement, with kInfeasible where no placement can be what is asked for.
  [[nodiscard]] static Result<Problem> create(const RoutingProfile& profile, const Cluster& cluster,
                                              ProblemOptions options);

  [[nodiscard]] const RoutingProfile& profile() const { return *profile_; }
  /// Where GPUs are not alike, with the slots of each.
  [[nodiscard]] const Cluster& cluster() const { return cluster_; }
  [[nodiscard]] const ProblemOptions& options() const { return options_; }
  [[nodiscard]] const Objective& objective() const { return options_.objective; }
  [[nodiscard]] std::size_t experts() const { return profile_->shape.experts; }
  [[nodiscard]] std::size_t redundant() const;
  /// Copies of every expert that a placement must hold.
  [[nodiscard]] std::size_t copies_min() const { return options_.survive + 1; }

  /// GPUs that differ in speed or slots, a running placement with other slots than are asked for, or load that is
  /// modelled time.
  [[nodiscard]] bool is_unequal() const { return is_unequal_; }
  /// Whether there are token paths, and with them communication to place by.
  [[nodiscard]] bool has_paths() const { return !profile_->paths.empty(); }
  /// Whether the windows of the traffic are weighed against one another rather than added up.
  [[nodiscard]] bool weighs_windows() const;

  /// Whether the modelled step of traffic to come decides, in the place of a cap.
  [[nodiscard]] bool minimises_step() const;
  /// Whether each layer's largest load has a hard cap. The weighted objective has none; copies that had to go to other
  /// nodes have loads of their own.
  [[nodiscard]] bool has_caps() const;
  /// The accepted load above a layer's best, as a ratio. 0 with loads alone: there is no communication to trade load
  /// for.
  [[nodiscard]] double slack_ratio() const { return has_paths() ? options_.load_slack_ratio : 0.0; }
  /// The cap on a layer's largest GPU load whose best is this, in load units.
  [[nodiscard]] std::int64_t cap_units(std::int64_t best_units) const;
  /// The same of a robust peak over windows, a ratio to the mean.
  [[nodiscard]] double cap_peak(double best_peak) const { return best_peak * (1.0 + slack_ratio()); }
  /// Lower bounds of each layer's largest GPU load, rounded down to load units [layers]. For equal GPUs.
  [[nodiscard]] std::vector<std::int64_t> load_bound_units() const;

  /// The running placement; null where there is none.
  [[nodiscard]] const Placement* running() const { return options_.replan ? &options_.replan->running : nullptr; }
  /// The budget of moves, beyond those that lost slots force; absent where none was asked for.
  [[nodiscard]] std::optional<std::size_t> moves_max() const;
  /// Whether the budget of moves can be exceeded.
  [[nodiscard]] bool is_bounded() const;

  /// What searches work on. Windows are fitted at once where they are weighed. Fails as make_instance() does.
  [[nodiscard]] Result<Instance> instance(std::size_t threads) const;
  /// With these copies of each expert [layers, experts] instead of the greedy rule's, and windows added up.
  [[nodiscard]] Result<Instance> instance_of(const Grid<std::uint16_t>& copies, std::size_t threads) const;

 private:
  Problem(const RoutingProfile& profile, Cluster cluster, ProblemOptions options);

  const RoutingProfile* profile_;
  Cluster cluster_;
  ProblemOptions options_;
  bool is_unequal_ = false;
};

/// Whether these options have windows weighed against one another; a budget of moves is taken to bind.
[[nodiscard]] bool weighs_windows(const ProblemOptions& options, bool is_bounded);

}  // namespace evenkeel
