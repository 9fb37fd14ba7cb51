#include "rebalancer/core/window_counts.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace evenkeel::rebalancer {
namespace {

constexpr std::uint64_t kMedianTimesMax = 4;

StageLoad& stage_of(std::map<std::string, StageLoad, std::less<>>& stages, std::string_view name,
                    const Grid<std::uint64_t>& shape) {
  const auto found = stages.find(name);
  if (found != stages.end()) return found->second;
  StageLoad empty{std::string(name), 0, Grid<std::uint64_t>(shape.rows(), shape.cols())};
  return stages.emplace(std::string(name), std::move(empty)).first->second;
}

void add_to(StageLoad& sum, const StageLoad& more) {
  sum.tokens += more.tokens;
  for (std::size_t cell = 0; cell < more.load_tokens.cells().size(); ++cell)
    sum.load_tokens.cells()[cell] += more.load_tokens.cells()[cell];
}

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

void WindowCounts::add(std::uint64_t window, const wire::StageCounts& before, const wire::StageCounts& after) {
  if (open_.size() >= kOpenMax && !open_.contains(window)) window = open_.rbegin()->first;
  StageLoad& stage = stage_of(open_[window], wire::stage_name(after.stage), after.count_tokens);
  stage.tokens += after.tokens - before.tokens;
  const auto from = before.count_tokens.cells();
  const auto to = after.count_tokens.cells();
  for (std::size_t cell = 0; cell < to.size(); ++cell) stage.load_tokens.cells()[cell] += to[cell] - from[cell];
}

std::vector<StageLoad> WindowCounts::take_until(std::uint64_t window) {
  Stages stages;
  while (!open_.empty() && open_.begin()->first <= window) {
    for (const auto& [name, load] : open_.begin()->second) add_to(stage_of(stages, name, load.load_tokens), load);
    open_.erase(open_.begin());
  }
  std::vector<StageLoad> taken;
  for (auto& [name, load] : stages) taken.push_back(std::move(load));
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
  std::map<std::string, StageLoad, std::less<>> sum;
  for (const auto& worker : workers) {
    for (const StageLoad& load : worker) add_to(stage_of(sum, load.stage, load.load_tokens), load);
  }
  std::vector<StageLoad> stages;
  for (auto& [name, load] : sum) stages.push_back(std::move(load));
  return stages;
}

}  // namespace evenkeel::rebalancer
