#include "partition/cost/unequal_bound.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>
#include <vector>

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

/// GPUs that hold so many slots together.
struct GpuSet {
  std::size_t gpus = 0;
  std::size_t slots = 0;
  double speed = 0;
};

/// What the largest cost over speed is at least for the sake of some slow GPUs and of all: weights on the two, a price
/// on copies (there are only so many) and one on the slots of the slow (which are to be filled) leave each expert by
/// itself to choose its copies and how many of them the slow GPUs hold. Whatever the prices, that is a lower bound.
class CopiesDual {
 public:
  CopiesDual(const Grid<std::int64_t>& copy_cost, const GpuSet& slow, const GpuSet& all)
      : slow_(slow), all_(all), redundant_(static_cast<double>(all.slots - copy_cost.rows())) {
    for (std::size_t copies = 1; copies <= copy_cost.cols(); ++copies) {
      const std::size_t elsewhere = all.gpus - slow.gpus;
      least_.push_back(copies > elsewhere ? static_cast<double>(copies - elsewhere) : 0.0);
      most_.push_back(static_cast<double>(std::min(copies, slow.gpus)));
    }
    for (const std::int64_t cost : copy_cost.cells()) cost_.push_back(static_cast<double>(cost));
    for (std::size_t expert = 0; expert < copy_cost.rows(); ++expert)
      largest_ = std::max(largest_, cost_[expert * copy_cost.cols()]);
  }

  /// The best bound over weights and prices: the dual is concave in each.
  [[nodiscard]] double best() const {
    double best = 0;
    for (const double weight : {0.25, 0.5, 0.75, 0.9, 1.0}) {
      best = std::max(best, largest_of(kSteps, largest_ / slow_.speed, [&](double copy_price) {
                        return largest_of(kSteps, 2 * largest_ / slow_.speed,
                                          [&](double slot_price) { return value(weight, copy_price, slot_price); });
                      }));
    }
    return best;
  }

 private:
  static constexpr int kSteps = 16;

  /// Golden-section search on [0, high], where small values matter most: on a quadratic scale.
  template <class Function>
  static double largest_of(int steps, double high, Function&& function) {
    constexpr double kGolden = 0.6180339887498949;
    const auto at = [&](double x) { return function(high * x * x); };
    double a = 0;
    double b = 1;
    double x = b - kGolden * (b - a);
    double y = a + kGolden * (b - a);
    double at_x = at(x);
    double at_y = at(y);
    double best = std::max(at_x, at_y);
    for (int step = 2; step < steps; ++step) {
      if (at_x > at_y) {
        b = y;
        y = x;
        at_y = at_x;
        x = b - kGolden * (b - a);
        best = std::max(best, at_x = at(x));
      } else {
        a = x;
        x = y;
        at_x = at_y;
        y = a + kGolden * (b - a);
        best = std::max(best, at_y = at(y));
      }
    }
    return best;
  }

  [[nodiscard]] double value(double weight, double copy_price, double slot_price) const {
    const double on_slow = weight / slow_.speed;
    const double on_all = (1 - weight) / all_.speed;
    double sum = static_cast<double>(slow_.slots) * slot_price - redundant_ * copy_price;
    for (std::size_t first = 0; first < cost_.size(); first += most_.size()) {
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t more = 0; more < most_.size(); ++more) {
        const double cost = cost_[first + more];
        const double of_slot = on_slow * cost - slot_price;
        const double held = of_slot < 0 ? most_[more] : least_[more];
        const auto copies = static_cast<double>(more + 1);
        least = std::min(least, on_all * copies * cost + copy_price * static_cast<double>(more) + held * of_slot);
      }
      sum += least;
    }
    return sum;
  }

  GpuSet slow_;
  GpuSet all_;
  double redundant_;
  /// Copies that the slow GPUs hold at least and at most, of an expert with 1, 2, ... copies.
  std::vector<double> least_;
  std::vector<double> most_;
  std::vector<double> cost_;
  double largest_ = 0;
};

/// For the slowest GPUs, one speed after the other.
double replicated_bound(const Grid<std::int64_t>& copy_cost, std::vector<UsedGpu> gpus) {
  std::ranges::sort(gpus, std::less<>(), &UsedGpu::speed);
  GpuSet all;
  for (const UsedGpu& gpu : gpus) all = {all.gpus + 1, all.slots + gpu.slots, all.speed + gpu.speed};
  double bound = 0;
  GpuSet slow;
  for (std::size_t i = 0; i + 1 < gpus.size(); ++i) {
    slow = {slow.gpus + 1, slow.slots + gpus[i].slots, slow.speed + gpus[i].speed};
    if (gpus[i].speed < gpus[i + 1].speed) bound = std::max(bound, CopiesDual(copy_cost, slow, all).best());
  }
  return bound;
}

}  // namespace

double unequal_bound(const Grid<std::int64_t>& copy_cost, std::span<const std::uint32_t> slots,
                     std::span<const double> speeds, bool with_dual) {
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
  if (redundant == 0) return std::max(bound, single_copy_bound(copy_cost, gpus));
  return with_dual ? std::max(bound, replicated_bound(copy_cost, gpus)) : bound;
}

}  // namespace evenkeel
