#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "partition/model/routing_profile.h"

namespace evenkeel {

/// How many experts tokens use in one round, and which of them go together.
struct RoundFanOut {
  LayerId layer;
  /// Real experts a token chooses, mean over all tokens: the effective top-k.
  double experts_per_token = 0;
  /// Pairs of experts that at least one token uses together, over experts (experts - 1) / 2; absent with one expert.
  std::optional<double> pairs_share;
  /// Of each expert, its most frequent partner: P(partner | expert) / P(partner), mean over experts by tokens. Even
  /// choices give a little below 1, as a token chooses k different experts. Absent where no token uses two experts.
  std::optional<double> top_partner_lift;
};

/// What tokens use over all rounds.
struct FanOut {
  std::vector<RoundFanOut> rounds;
  /// Distinct experts, over all layers, that a token uses; rounds over the same layer count an expert once.
  double experts_per_token = 0;
};

/// Of a profile with token paths. Pure; equal on any number of threads. Cost: tokens x rounds x k^2 time.
[[nodiscard]] FanOut fan_out_of(const RoutingProfile& profile, std::size_t threads);

}  // namespace evenkeel
