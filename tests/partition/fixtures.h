#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "partition/foundation/random.h"
#include "partition/model/routing_profile.h"

namespace evenkeel::testing {

/// Shape of a made-up profile.
struct ProfileShape {
  std::size_t layers = 4;
  std::size_t experts = 16;
  std::size_t top_k = 2;
  std::size_t tokens = 400;
};

/// Tokens of experts that few are hot of [layers][experts].
inline std::vector<std::vector<std::uint64_t>> uneven_rows(std::size_t layers, std::size_t experts, Random& random) {
  std::vector<std::vector<std::uint64_t>> rows(layers, std::vector<std::uint64_t>(experts));
  for (auto& row : rows) {
    for (auto& tokens : row) {
      const std::array<std::uint64_t, 3> drawn{random.below(100), random.below(100), random.below(4)};
      tokens = 1 + drawn[0] * drawn[1] / (1 + drawn[2]);
    }
  }
  return rows;
}

/// Skewed routing with structure: a token's next experts tend to follow from its last, and low numbers are chosen more.
inline RoutingProfile structured_profile(const ProfileShape& shape, std::uint64_t seed) {
  Random random(seed, 0);
  RoutingProfile profile;
  profile.shape.experts = shape.experts;
  profile.shape.layer_ids.resize(shape.layers);
  std::iota(profile.shape.layer_ids.begin(), profile.shape.layer_ids.end(), 0);
  profile.paths.top_k = shape.top_k;
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) profile.paths.layer_of_round.push_back(layer);
  Grid<std::uint64_t> load(shape.layers, shape.experts);
  const auto experts = static_cast<std::uint32_t>(shape.experts);
  for (std::size_t token = 0; token < shape.tokens; ++token) {
    if (token % 50 == 0) profile.paths.sequence_start.push_back(token);
    std::uint32_t state = random.below(experts);
    for (std::size_t layer = 0; layer < shape.layers; ++layer) {
      state = random.below(4) == 0 ? std::min(random.below(experts), random.below(experts)) : (state * 5 + 3) % experts;
      for (std::uint32_t choice = 0; choice < shape.top_k; ++choice) {
        const std::uint32_t expert = (state + choice * 7) % experts;
        profile.paths.experts.push_back(static_cast<ExpertIndex>(expert));
        ++load(layer, expert);
      }
    }
  }
  profile.paths.sequence_start.push_back(shape.tokens);
  profile.windows.push_back({.load_tokens = std::move(load)});
  return profile;
}

/// The same tokens, their rounds in other layers; the number of layers is the largest + 1.
inline RoutingProfile with_rounds(RoutingProfile profile, std::vector<std::uint32_t> layer_of_round) {
  const std::size_t layers = *std::ranges::max_element(layer_of_round) + 1;
  Grid<std::uint64_t> load(layers, profile.shape.experts);
  const Grid<std::uint64_t> of_rounds = profile.total_load();
  for (std::size_t round = 0; round < layer_of_round.size(); ++round) {
    for (std::size_t expert = 0; expert < profile.shape.experts; ++expert) {
      load(layer_of_round[round], expert) += of_rounds(round, expert);
    }
  }
  profile.shape.layer_ids.resize(layers);
  profile.paths.layer_of_round = std::move(layer_of_round);
  profile.windows = {{.load_tokens = std::move(load)}};
  return profile;
}

/// The same tokens, a quarter of their choices left empty.
inline RoutingProfile with_null_choices(RoutingProfile profile, std::uint64_t seed) {
  Random random(seed, 1);
  Grid<std::uint64_t>& load = profile.windows.front().load_tokens;
  const std::size_t choices = profile.paths.rounds() * profile.paths.top_k;
  for (std::size_t index = 0; index < profile.paths.experts.size(); ++index) {
    if (random.below(4) != 0) continue;
    const std::size_t round = index % choices / profile.paths.top_k;
    --load(profile.paths.layer_of_round[round], profile.paths.experts[index]);
    profile.paths.experts[index] = kNoExpert;
  }
  return profile;
}

/// Loads alone, one row a layer.
inline RoutingProfile loads_profile(const std::vector<std::vector<std::uint64_t>>& rows) {
  RoutingProfile profile;
  profile.shape.experts = rows.front().size();
  profile.shape.layer_ids.resize(rows.size());
  std::iota(profile.shape.layer_ids.begin(), profile.shape.layer_ids.end(), 0);
  Grid<std::uint64_t> load(rows.size(), rows.front().size());
  for (std::size_t layer = 0; layer < rows.size(); ++layer) std::ranges::copy(rows[layer], load[layer].begin());
  profile.windows.push_back({.load_tokens = std::move(load)});
  return profile;
}

}  // namespace evenkeel::testing
