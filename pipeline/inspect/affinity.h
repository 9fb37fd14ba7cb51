#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "partition/model/routing_profile.h"

namespace evenkeel {

/// How much the experts of one round say about those of the next, from the transition table: a token counts once, each
/// of its k x k' pairs weighs 1 / (k k'). Figures are absent where no token has experts in both rounds.
struct RoundAffinity {
  LayerId from;
  LayerId to;
  /// Probability of an expert's likeliest successor over 1 / experts, mean over experts by traffic.
  std::optional<double> top_successor_ratio;
  /// The same if the next expert did not depend on this one: the most popular expert's share over 1 / experts.
  std::optional<double> popularity_ratio;
  /// Mutual information of the two rounds' experts over the smaller of their entropies: 0 independent, 1 determined
  /// (out of reach above top-1, where k' successors share a token). 0 where an entropy is 0.
  std::optional<double> information;
  /// The same with the next round's choices dealt to tokens at random: what the sample's size alone gives.
  std::optional<double> information_noise;
};

/// One entry for each pair of neighbouring rounds; none without token paths or with one round. Equal seeds give equal
/// results on any number of threads. Cost: that of transitions() twice, and one copy of the token paths.
[[nodiscard]] std::vector<RoundAffinity> affinity_of(const RoutingProfile& profile, std::uint64_t seed,
                                                     std::size_t threads);

}  // namespace evenkeel
