#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// The best segment router of a group of experts: one that, for each expert and each m consecutive tokens, leaves the
/// expert on or off for all of them (Liang et al., arXiv 2505.16056, equations 3 to 6).
struct SegmentRouter {
  /// Segment routing best performance: the F1 score of its decisions against the real ones, the largest any such router
  /// can have. 0 where no expert of the group is ever used.
  double srp = 0;
  /// An expert is on in the segments in which it is used this often or more: the smallest such count that occurs, of
  /// equally good thresholds the smallest.
  std::size_t threshold = 0;
  /// Experts it keeps on over experts that are used, on average (the paper's rho-hat). Absent where none is used.
  std::optional<double> size_ratio;
};

/// SRP of one segment length, of all groups.
struct SegmentRouting {
  /// m.
  std::size_t segment_tokens = 0;
  /// Segments: the sum over sequences T of |T| - m + 1; sequences shorter than m have none. Without any segment all
  /// figures below are 0.
  std::uint64_t segments = 0;
  /// All experts of all rounds, with one threshold.
  SegmentRouter model;
  /// SRP of the model if every token chose by the loads alone, independent of its neighbours: what skew gives without
  /// any local consistency.
  double model_chance = 0;
  /// The experts of one round, with one threshold [rounds].
  std::vector<SegmentRouter> rounds;
  /// Each expert by itself [rounds, experts].
  Grid<SegmentRouter> experts;
};

/// The best router for segments of which count_of_uses[f] use an expert f times, f from 0 to m.
[[nodiscard]] SegmentRouter best_segment_router(std::span<const double> count_of_uses);

/// SRP for each of the segment lengths (at least 1), from a profile with token paths. Pure; equal on any number of
/// threads. Cost: lengths x tokens x rounds x k time, experts x m memory a thread.
[[nodiscard]] std::vector<SegmentRouting> segment_routing(const RoutingProfile& profile,
                                                          const std::vector<std::size_t>& segment_tokens,
                                                          std::size_t threads);

}  // namespace evenkeel
