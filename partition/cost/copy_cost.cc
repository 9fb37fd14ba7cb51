#include "partition/cost/copy_cost.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>

#include "partition/model/instance.h"

namespace evenkeel {
namespace {

/// sums[n]: the n first values.
template <class T>
std::vector<double> prefix_sums(const std::vector<T>& values) {
  std::vector<double> sums(values.size() + 1, 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) sums[i + 1] = sums[i] + static_cast<double>(values[i]);
  return sums;
}

struct UsedGpu {
  double speed;
  std::size_t slots;
};

std::vector<UsedGpu> used_gpus(std::span<const std::uint32_t> slots, std::span<const double> speeds) {
  std::vector<UsedGpu> used;
  for (std::size_t gpu = 0; gpu < slots.size(); ++gpu) {
    if (slots[gpu] > 0) used.push_back({speeds[gpu], slots[gpu]});
  }
  return used;
}

/// The least that all copies cost together. Each copy of an expert adds less than the one before, so the least is had
/// by all copies of the experts that are cheapest to copy, and one with the rest.
double least_cost(const Grid<std::int64_t>& copy_cost, std::size_t redundant) {
  const std::size_t copies_max = copy_cost.cols();
  double all = 0;
  std::vector<double> full;
  double rest = std::numeric_limits<double>::infinity();
  const std::size_t more = copies_max > 1 ? redundant % (copies_max - 1) : 0;
  for (std::size_t expert = 0; expert < copy_cost.rows(); ++expert) {
    const auto with = [&](std::size_t copies) {
      return static_cast<double>(copy_cost(expert, copies - 1)) * static_cast<double>(copies);
    };
    all += with(1);
    full.push_back(with(copies_max) - with(1));
    rest = std::min(rest, with(1 + more) - with(1));
  }
  std::ranges::sort(full);
  const std::size_t filled = copies_max > 1 ? std::min(full.size(), redundant / (copies_max - 1)) : 0;
  // Rounding of costs to whole units may make a copy seem to save some.
  return all + std::max(0.0, std::accumulate(full.begin(), full.begin() + static_cast<std::ptrdiff_t>(filled), 0.0) +
                                 (more > 0 ? rest : 0.0));
}

/// The least costliest copy that so many more copies leave.
double least_largest_copy(const Grid<std::int64_t>& copy_cost, std::size_t redundant) {
  using Copy = std::pair<std::int64_t, std::size_t>;
  std::priority_queue<Copy> hottest;
  std::vector<std::size_t> copies(copy_cost.rows(), 1);
  for (std::size_t expert = 0; expert < copy_cost.rows(); ++expert) hottest.emplace(copy_cost(expert, 0), expert);
  for (std::size_t spare = 0; spare < redundant; ++spare) {
    const std::size_t expert = hottest.top().second;
    if (copies[expert] == copy_cost.cols()) break;
    hottest.pop();
    hottest.emplace(copy_cost(expert, copies[expert]++), expert);
  }
  return static_cast<double>(hottest.top().first);
}

/// Bounds that hold where every expert has one copy: what some of the GPUs hold at least.
double single_copy_bound(const Grid<std::int64_t>& copy_cost, std::vector<UsedGpu> gpus) {
  std::vector<std::int64_t> cost;
  for (std::size_t expert = 0; expert < copy_cost.rows(); ++expert) cost.push_back(copy_cost(expert, 0));
  std::ranges::sort(cost);
  const auto smallest = prefix_sums(cost);
  std::ranges::reverse(cost);
  const auto largest = prefix_sums(cost);
  // The slowest for their slots.
  std::ranges::sort(gpus, std::less<>(), [](const UsedGpu& gpu) { return gpu.speed / static_cast<double>(gpu.slots); });
  double bound = 0;
  double speed = 0;
  std::size_t slots = 0;
  for (const UsedGpu& gpu : gpus) {
    speed += gpu.speed;
    slots += gpu.slots;
    bound = std::max(bound, smallest[std::min(slots, cost.size())] / speed);
  }
  std::vector<double> fastest;
  std::vector<std::size_t> fewest;
  for (const UsedGpu& gpu : gpus) {
    fastest.push_back(gpu.speed);
    fewest.push_back(gpu.slots);
  }
  std::ranges::sort(fastest, std::greater<>());
  std::ranges::sort(fewest);
  const auto fastest_speeds = prefix_sums(fastest);
  const auto fewest_slots = prefix_sums(fewest);
  for (std::size_t m = 1; m <= cost.size(); ++m) {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t k = 1; k <= std::min(m, gpus.size()); ++k) {
      const double most_slots = fewest_slots.back() - fewest_slots[gpus.size() - k];
      if (most_slots < static_cast<double>(m)) continue;
      const auto others = static_cast<std::size_t>(std::max(0.0, fewest_slots[k] - static_cast<double>(m)));
      least = std::min(least, (largest[m] + smallest[others]) / fastest_speeds[k]);
    }
    bound = std::max(bound, least);
  }
  return bound;
}

}  // namespace

std::vector<Grid<std::int64_t>> copy_costs(const RoutingProfile& profile, std::size_t copies_max,
                                           const std::optional<StepTimeModel>& time_model) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::vector<Grid<std::int64_t>> costs;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    Grid<std::int64_t>& cost = costs.emplace_back(load.cols(), copies_max);
    const auto chances = time_model ? expert_chances(profile, load, layer) : std::vector<double>();
    for (std::size_t expert = 0; expert < load.cols(); ++expert) {
      for (std::size_t copies = 1; copies <= copies_max; ++copies) {
        const auto parts = static_cast<double>(copies);
        cost(expert, copies - 1) = time_model ? std::llround(copy_time(*time_model, chances[expert] / parts) /
                                                             std::chrono::duration<double>(1) * kCostUnitsPerSecond)
                                              : static_cast<std::int64_t>(load(layer, expert)) * kLoadUnitsPerToken /
                                                    static_cast<std::int64_t>(copies);
      }
    }
  }
  return costs;
}

double unequal_bound(const Grid<std::int64_t>& copy_cost, std::span<const std::uint32_t> slots,
                     std::span<const double> speeds) {
  const auto gpus = used_gpus(slots, speeds);
  const auto all_slots = std::accumulate(slots.begin(), slots.end(), std::size_t{0});
  const std::size_t redundant = all_slots - copy_cost.rows();
  double speed = 0;
  double fastest = 0;
  for (const UsedGpu& gpu : gpus) {
    speed += gpu.speed;
    fastest = std::max(fastest, gpu.speed);
  }
  const double bound =
      std::max(least_cost(copy_cost, redundant) / speed, least_largest_copy(copy_cost, redundant) / fastest);
  return redundant > 0 ? bound : std::max(bound, single_copy_bound(copy_cost, gpus));
}

}  // namespace evenkeel
