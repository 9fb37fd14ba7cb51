#include "partition/cost/bounds.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>
#include <vector>

namespace evenkeel {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// prefix[n] = sum of the first n values.
std::vector<std::int64_t> prefix_sums(std::span<const std::int64_t> values) {
  std::vector<std::int64_t> prefix(values.size() + 1, 0);
  std::partial_sum(values.begin(), values.end(), prefix.begin() + 1);
  return prefix;
}

}  // namespace

std::int64_t load_bound_single_copy(std::span<const std::int64_t> load, std::size_t gpus, std::size_t slots) {
  std::vector<std::int64_t> sorted(load.begin(), load.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const std::size_t experts = sorted.size();
  const auto largest = prefix_sums(sorted);
  // smallest[n] = sum of the n smallest loads.
  const auto smallest = [&](std::size_t n) { return largest[experts] - largest[experts - n]; };
  std::int64_t bound = ceil_div(largest[experts], static_cast<std::int64_t>(gpus));
  for (std::size_t j = 0; j < slots && j * gpus + 1 <= experts; ++j) {
    const std::size_t among = j * gpus + 1;
    bound = std::max(bound, largest[among] - largest[among - (j + 1)] + smallest(slots - j - 1));
  }
  for (std::size_t m = 1; m <= experts; ++m) {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (std::size_t k = (m + slots - 1) / slots; k <= std::min(m, gpus); ++k) {
      least = std::min(least, ceil_div(largest[m] + smallest(k * slots - m), static_cast<std::int64_t>(k)));
    }
    bound = std::max(bound, least);
  }
  return bound;
}

double load_bound_replicated(std::span<const std::int64_t> load, std::size_t gpus, std::size_t redundant) {
  struct Share {
    std::int64_t load;
    std::int64_t copies;
    bool operator<(const Share& other) const { return load * other.copies < other.load * copies; }
  };
  std::priority_queue<Share> shares;
  for (const std::int64_t expert_load : load) shares.push({expert_load, 1});
  const std::int64_t total = std::accumulate(load.begin(), load.end(), std::int64_t{0});
  const double mean = static_cast<double>(total) / static_cast<double>(gpus);
  for (std::size_t spare = 0; spare < redundant; ++spare) {
    Share hottest = shares.top();
    shares.pop();
    ++hottest.copies;
    shares.push(hottest);
  }
  return std::max(mean, static_cast<double>(shares.top().load) / static_cast<double>(shares.top().copies));
}

double load_bound(std::span<const std::uint64_t> load_tokens, std::size_t gpus, std::size_t redundant) {
  const std::vector<std::int64_t> tokens(load_tokens.begin(), load_tokens.end());
  if (redundant > 0) return load_bound_replicated(tokens, gpus, redundant);
  const auto mean =
      static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0})) / static_cast<double>(gpus);
  // A GPU's load is whole tokens only while nothing is split.
  return std::max(mean, static_cast<double>(load_bound_single_copy(tokens, gpus, tokens.size() / gpus)));
}

}  // namespace evenkeel
