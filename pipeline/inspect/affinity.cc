#include "pipeline/inspect/affinity.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "partition/foundation/parallel.h"
#include "partition/foundation/random.h"

namespace evenkeel {
namespace {

struct Margins {
  std::vector<double> from;
  std::vector<double> to;
};

Margins margins_of(const TransitionTable& table) {
  const std::size_t experts = table.tokens.rows();
  Margins margins{std::vector<double>(experts), std::vector<double>(experts)};
  for (std::size_t source = 0; source < experts; ++source) {
    const auto row = table.tokens[source];
    margins.from[source] = std::accumulate(row.begin(), row.end(), 0.0);
    std::ranges::transform(margins.to, row, margins.to.begin(), std::plus<>());
  }
  return margins;
}

double entropy(const std::vector<double>& tokens, double total) {
  double sum = 0;
  for (const double count : tokens) {
    if (count > 0) sum -= count / total * std::log(count / total);
  }
  return sum;
}

double normalised_information(const TransitionTable& table, const Margins& margins) {
  const double smaller_entropy =
      std::min(entropy(margins.from, table.total_tokens), entropy(margins.to, table.total_tokens));
  if (smaller_entropy <= 0) return 0;
  double sum = 0;
  for (std::size_t source = 0; source < margins.from.size(); ++source) {
    for (std::size_t target = 0; target < margins.to.size(); ++target) {
      const double tokens = table.tokens(source, target);
      if (tokens > 0)
        sum += tokens * std::log(tokens * table.total_tokens / (margins.from[source] * margins.to[target]));
    }
  }
  return sum / table.total_tokens / smaller_entropy;
}

/// Deals the choices of every second round to the tokens at random, so that neighbouring rounds are independent.
RoutingProfile dealt(const RoutingProfile& profile, std::uint64_t seed, std::size_t threads) {
  RoutingProfile result{profile.shape, {}, profile.paths};
  const TokenPaths& paths = profile.paths;
  for_each_item(paths.rounds() / 2, threads, [&](std::size_t pair) {
    const std::size_t round = 2 * pair + 1;
    std::vector<std::uint32_t> token_of(paths.tokens());
    std::iota(token_of.begin(), token_of.end(), std::uint32_t{0});
    Random(seed, round).shuffle(std::span(token_of));
    for (std::size_t token = 0; token < token_of.size(); ++token) {
      const auto chosen = paths.chosen(token_of[token], round);
      std::ranges::copy(chosen, result.paths.experts.begin() +
                                    static_cast<std::ptrdiff_t>((token * paths.rounds() + round) * paths.top_k));
    }
  });
  return result;
}

RoundAffinity affinity_of_pair(const TransitionTable& table, const TransitionTable& noise) {
  RoundAffinity affinity{table.from, table.to, {}, {}, {}, {}};
  if (table.total_tokens == 0) return affinity;
  const Margins margins = margins_of(table);
  const double experts = static_cast<double>(margins.to.size());
  double top = 0;
  for (std::size_t source = 0; source < margins.from.size(); ++source) top += std::ranges::max(table.tokens[source]);
  affinity.top_successor_ratio = top / table.total_tokens * experts;
  affinity.popularity_ratio = std::ranges::max(margins.to) / table.total_tokens * experts;
  affinity.information = normalised_information(table, margins);
  if (noise.total_tokens > 0) affinity.information_noise = normalised_information(noise, margins_of(noise));
  return affinity;
}

}  // namespace

std::vector<RoundAffinity> affinity_of(const RoutingProfile& profile, std::uint64_t seed, std::size_t threads) {
  if (profile.paths.empty()) return {};
  const std::vector<TransitionTable> tables = transitions(profile, threads);
  const std::vector<TransitionTable> noise = transitions(dealt(profile, seed, threads), threads);
  std::vector<RoundAffinity> all;
  for (std::size_t pair = 0; pair < tables.size(); ++pair) all.push_back(affinity_of_pair(tables[pair], noise[pair]));
  return all;
}

}  // namespace evenkeel
