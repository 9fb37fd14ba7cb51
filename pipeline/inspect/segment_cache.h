#pragma once

#include <cstddef>
#include <vector>

#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Segment cache best hit rate (Liang et al., arXiv 2505.16056, section 2.3) for one segment length and one cache size.
///
/// For each token the cache loads the demanded experts it lacks and evicts as many that this token does not use: those
/// used least in the next m tokens, of equals the one not used for longest, then the one with the smaller number. The
/// cache starts empty with each sequence; loading into a free place counts as a hit, as in the authors' program: the
/// cache could have been filled ahead.
struct SegmentCache {
  /// m.
  std::size_t segment_tokens = 0;
  /// Tokens that were replayed.
  std::size_t tokens = 0;
  /// Places in the cache over experts a token uses (the paper's rho), 1 or more; places are rounded down.
  double cache_ratio = 0;
  /// Hit rate of one cache a round of ratio x top-k experts [rounds]; 0 where nothing is demanded.
  std::vector<double> rounds;
  /// Hit rate of all those caches together.
  double router = 0;
  /// Hit rate of one cache that all rounds share, of ratio x top-k x rounds experts.
  double model = 0;
};

/// SCH for each segment length with each cache ratio, from a profile with token paths: from about `tokens_max` of its
/// tokens, every n-th sequence, n the nearest whole number (the authors take every 16th); 0: from all. Pure; equal on
/// any number of threads. Cost: lengths x ratios x tokens x rounds x k x ratio time.
[[nodiscard]] std::vector<SegmentCache> segment_caches(const RoutingProfile& profile,
                                                       const std::vector<std::size_t>& segment_tokens,
                                                       const std::vector<double>& cache_ratios, std::size_t tokens_max,
                                                       std::size_t threads);

}  // namespace evenkeel
