#include "rebalancer/core/window_counts.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace evenkeel::rebalancer {
namespace {

constexpr std::uint64_t kMedianTimesMax = 4;
constexpr std::size_t kWorkersWithMedianMin = 3;

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

std::optional<std::uint64_t> tokens_max(std::span<const std::vector<StageLoad>> workers) {
  std::vector<std::uint64_t> tokens;
  for (const auto& worker : workers) {
    if (const std::uint64_t counted = tokens_of(worker); counted > 0) tokens.push_back(counted);
  }
  if (tokens.size() < kWorkersWithMedianMin) return std::nullopt;
  const auto middle = tokens.begin() + static_cast<std::ptrdiff_t>((tokens.size() - 1) / 2);
  std::ranges::nth_element(tokens, middle);
  return *middle * kMedianTimesMax;
}

StageLoad scaled(StageLoad load, double factor) {
  const auto part = [&](std::uint64_t tokens) {
    return static_cast<std::uint64_t>(std::llround(static_cast<double>(tokens) * factor));
  };
  load.tokens = part(load.tokens);
  for (std::uint64_t& cell : load.load_tokens.cells()) cell = part(cell);
  return load;
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

std::vector<StageLoad> sum_of_workers(std::span<const std::vector<StageLoad>> workers) {
  const auto most = tokens_max(workers);
  std::map<std::string, StageLoad, std::less<>> sum;
  for (const auto& worker : workers) {
    const std::uint64_t tokens = tokens_of(worker);
    const bool is_too_much = most && tokens > *most;
    for (const StageLoad& load : worker) {
      StageLoad& into = stage_of(sum, load.stage, load.load_tokens);
      add_to(into, is_too_much ? scaled(load, static_cast<double>(*most) / static_cast<double>(tokens)) : load);
    }
  }
  std::vector<StageLoad> stages;
  for (auto& [name, load] : sum) stages.push_back(std::move(load));
  return stages;
}

}  // namespace evenkeel::rebalancer
