#include "rebalancer/core/window_counts.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace evenkeel::rebalancer {
namespace {

constexpr std::uint64_t kMedianTimesMax = 4;

/// What to scale each worker's count by [workers], none of which is more than 1.
std::vector<double> factors(const std::vector<std::uint64_t>& counts) {
  std::vector<double> factors(counts.size(), 1.0);
  std::vector<std::uint64_t> some;
  std::ranges::copy_if(counts, std::back_inserter(some), [](std::uint64_t count) { return count > 0; });
  if (some.size() < kWorkersToCompareMin) return factors;
  const auto middle = some.begin() + static_cast<std::ptrdiff_t>((some.size() - 1) / 2);
  std::ranges::nth_element(some, middle);
  const std::uint64_t most = *middle * kMedianTimesMax;
  for (std::size_t worker = 0; worker < counts.size(); ++worker) {
    if (counts[worker] > most) factors[worker] = static_cast<double>(most) / static_cast<double>(counts[worker]);
  }
  return factors;
}

std::uint64_t scaled(std::uint64_t count, double factor) {
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(count) * factor));
}

std::uint64_t count_of_layer(const std::vector<StageLoad>& worker, std::size_t layer) {
  std::uint64_t sum = 0;
  for (const StageLoad& stage : worker) {
    const auto row = stage.load_tokens[layer];
    sum = std::accumulate(row.begin(), row.end(), sum);
  }
  return sum;
}

}  // namespace

void WindowCounts::add(std::uint64_t window, const StageLoad& before, const StageLoad& after) {
  if (open_.size() >= kOpenMax && !open_.contains(window)) window = open_.rbegin()->first;
  StageLoad& stage = of_stage(open_[window], after.stage, after.load_tokens.rows(), after.load_tokens.cols());
  stage.tokens += after.tokens - before.tokens;
  add_growth(stage.load_tokens, before.load_tokens, after.load_tokens);
}

std::vector<StageLoad> WindowCounts::take_until(std::uint64_t window) {
  std::vector<StageLoad> taken;
  while (!open_.empty() && open_.begin()->first <= window) {
    add_by_stage(taken, open_.begin()->second);
    open_.erase(open_.begin());
  }
  return taken;
}

void limit_workers(std::span<std::vector<StageLoad>> workers) {
  std::vector<std::uint64_t> counts(workers.size());
  std::ranges::transform(workers, counts.begin(), tokens_of);
  const std::vector<double> of_tokens = factors(counts);
  std::size_t layers = 0;
  for (std::size_t w = 0; w < workers.size(); ++w) {
    for (StageLoad& stage : workers[w]) {
      stage.tokens = scaled(stage.tokens, of_tokens[w]);
      layers = stage.load_tokens.rows();
    }
  }
  for (std::size_t layer = 0; layer < layers; ++layer) {
    std::ranges::transform(workers, counts.begin(),
                           [&](const std::vector<StageLoad>& worker) { return count_of_layer(worker, layer); });
    const std::vector<double> of_counts = factors(counts);
    for (std::size_t w = 0; w < workers.size(); ++w) {
      const double factor = std::min(of_tokens[w], of_counts[w]);
      if (factor == 1.0) continue;
      for (StageLoad& stage : workers[w]) {
        for (std::uint64_t& count : stage.load_tokens[layer]) count = scaled(count, factor);
      }
    }
  }
}

std::vector<StageLoad> sum_of_workers(std::span<const std::vector<StageLoad>> workers) {
  std::vector<StageLoad> sum;
  for (const auto& worker : workers) add_by_stage(sum, worker);
  return sum;
}

}  // namespace evenkeel::rebalancer
