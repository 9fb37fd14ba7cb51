#include "partition/model/routing_profile.h"

#include <algorithm>

#include "partition/foundation/parallel.h"

namespace evenkeel {

Grid<std::uint64_t> RoutingProfile::total_load() const {
  Grid<std::uint64_t> total(shape.layers(), shape.experts);
  for (const StageLoad& window : windows) add(total, window.load_tokens);
  return total;
}

namespace {

/// Counts the transitions of one pair of rounds. Tokens whose choices are all real weigh the same and are counted in
/// whole numbers, several times faster; the others are added one by one.
void count_transitions(const TokenPaths& paths, std::size_t round, TransitionTable& table) {
  const std::size_t experts = table.tokens.cols();
  const auto is_real = [](ExpertIndex expert) { return expert != kNoExpert; };
  std::vector<std::uint32_t> counts(experts * experts, 0);
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    const auto from = paths.chosen(token, round);
    const auto to = paths.chosen(token, round + 1);
    if (std::ranges::all_of(from, is_real) && std::ranges::all_of(to, is_real)) {
      for (const ExpertIndex source : from) {
        std::uint32_t* const row = counts.data() + source * experts;
        for (const ExpertIndex target : to) ++row[target];
      }
      table.total_tokens += 1.0;
      continue;
    }
    const auto pairs = std::ranges::count_if(from, is_real) * std::ranges::count_if(to, is_real);
    if (pairs == 0) continue;
    const double weight = 1.0 / static_cast<double>(pairs);
    for (const ExpertIndex source : from) {
      for (const ExpertIndex target : to) {
        if (is_real(source) && is_real(target)) table.tokens(source, target) += weight;
      }
    }
    table.total_tokens += 1.0;
  }
  const double weight = 1.0 / static_cast<double>(paths.top_k * paths.top_k);
  for (std::size_t cell = 0; cell < counts.size(); ++cell) table.tokens.cells()[cell] += weight * counts[cell];
}

}  // namespace

std::vector<TransitionTable> transitions(const RoutingProfile& profile, std::size_t threads) {
  const TokenPaths& paths = profile.paths;
  std::vector<TransitionTable> tables;
  if (paths.empty()) return tables;
  for (std::size_t round = 0; round + 1 < paths.rounds(); ++round) {
    tables.push_back({LayerId(paths.layer_of_round[round]), LayerId(paths.layer_of_round[round + 1]),
                      Grid<double>(profile.shape.experts, profile.shape.experts)});
  }
  for_each_item(tables.size(), threads, [&](std::size_t round) { count_transitions(paths, round, tables[round]); });
  return tables;
}

}  // namespace evenkeel
