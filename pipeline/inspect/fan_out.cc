#include "pipeline/inspect/fan_out.h"

#include <algorithm>
#include <cstdint>

#include "partition/foundation/parallel.h"

namespace evenkeel {
namespace {

/// Tokens that use each pair of experts [experts, experts]; the diagonal has those that use the expert at all.
Grid<std::uint32_t> co_activations(const TokenPaths& paths, std::size_t round, std::size_t experts) {
  Grid<std::uint32_t> together(experts, experts);
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    const auto chosen = paths.chosen(token, round);
    for (const ExpertIndex a : chosen) {
      if (a == kNoExpert) continue;
      for (const ExpertIndex b : chosen) {
        if (b != kNoExpert) ++together(a, b);
      }
    }
  }
  return together;
}

RoundFanOut fan_out_of_round(const TokenPaths& paths, std::size_t round, std::size_t experts) {
  const Grid<std::uint32_t> together = co_activations(paths, round, experts);
  const double tokens = static_cast<double>(paths.tokens());
  RoundFanOut fan_out{LayerId(paths.layer_of_round[round]), 0, {}, {}};
  std::size_t pairs = 0;
  double lift_sum = 0;
  double lift_weight = 0;
  for (std::size_t expert = 0; expert < experts; ++expert) {
    const double uses = together(expert, expert);
    fan_out.experts_per_token += uses / tokens;
    std::size_t partner = expert;
    std::uint32_t most = 0;
    for (std::size_t other = 0; other < experts; ++other) {
      if (other == expert || together(expert, other) == 0) continue;
      if (other > expert) ++pairs;
      if (together(expert, other) > most) {
        most = together(expert, other);
        partner = other;
      }
    }
    if (most == 0) continue;
    lift_sum += static_cast<double>(most) * tokens / together(partner, partner);
    lift_weight += uses;
  }
  if (experts > 1) {
    fan_out.pairs_share = static_cast<double>(pairs) * 2 / static_cast<double>(experts * (experts - 1));
  }
  if (lift_weight > 0) fan_out.top_partner_lift = lift_sum / lift_weight;
  return fan_out;
}

/// Distinct experts of all layers that tokens use, summed over tokens.
std::size_t distinct_experts(const TokenPaths& paths, std::size_t experts) {
  const std::size_t layers = std::ranges::max(paths.layer_of_round) + std::size_t{1};
  constexpr std::size_t kNever = SIZE_MAX;
  std::vector<std::size_t> last_token(layers * experts, kNever);
  std::size_t distinct = 0;
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    for (std::size_t round = 0; round < paths.rounds(); ++round) {
      for (const ExpertIndex expert : paths.chosen(token, round)) {
        if (expert == kNoExpert) continue;
        std::size_t& last = last_token[paths.layer_of_round[round] * experts + expert];
        if (last != token) ++distinct;
        last = token;
      }
    }
  }
  return distinct;
}

}  // namespace

FanOut fan_out_of(const RoutingProfile& profile, std::size_t threads) {
  const TokenPaths& paths = profile.paths;
  FanOut fan_out;
  fan_out.rounds.resize(paths.rounds(), RoundFanOut{LayerId(0), 0, {}, {}});
  for_each_item(paths.rounds(), threads, [&](std::size_t round) {
    fan_out.rounds[round] = fan_out_of_round(paths, round, profile.shape.experts);
  });
  fan_out.experts_per_token =
      static_cast<double>(distinct_experts(paths, profile.shape.experts)) / static_cast<double>(paths.tokens());
  return fan_out;
}

}  // namespace evenkeel
