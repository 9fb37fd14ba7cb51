#include "partition/model/routing_profile.h"

#include <algorithm>

#include "partition/model/check.h"

namespace evenkeel {

Grid<std::uint64_t> RoutingProfile::total_load() const {
  Grid<std::uint64_t> total(shape.layers(), shape.experts);
  for (const LoadWindow& window : windows) {
    EVENKEEL_CHECK(window.load_tokens.rows() == total.rows() && window.load_tokens.cols() == total.cols(),
                   "every window has the profile's shape");
    std::transform(total.cells().begin(), total.cells().end(), window.load_tokens.cells().begin(),
                   total.cells().begin(), std::plus<>());
  }
  return total;
}

std::vector<TransitionTable> transitions(const RoutingProfile& profile) {
  const TokenPaths& paths = profile.paths;
  std::vector<TransitionTable> tables;
  if (paths.empty()) return tables;
  for (std::size_t round = 0; round + 1 < paths.rounds(); ++round) {
    tables.push_back({LayerId(paths.layer_of_round[round]), LayerId(paths.layer_of_round[round + 1]),
                      Grid<double>(profile.shape.experts, profile.shape.experts)});
  }
  const auto is_real = [](ExpertIndex expert) { return expert != kNoExpert; };
  // Round by round, so that one table at a time is in the cache.
  for (std::size_t round = 0; round < tables.size(); ++round) {
    TransitionTable& table = tables[round];
    for (std::size_t token = 0; token < paths.tokens(); ++token) {
      const auto from = paths.chosen(token, round);
      const auto to = paths.chosen(token, round + 1);
      const auto pairs =
          std::count_if(from.begin(), from.end(), is_real) * std::count_if(to.begin(), to.end(), is_real);
      if (pairs == 0) continue;
      const double weight = 1.0 / static_cast<double>(pairs);
      for (const ExpertIndex source : from) {
        if (!is_real(source)) continue;
        for (const ExpertIndex target : to) {
          if (is_real(target)) table.tokens(source, target) += weight;
        }
      }
      table.total_tokens += 1.0;
    }
  }
  return tables;
}

}  // namespace evenkeel
