#include "partition/slots/replan_frontier.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

/// Additions that a table may take: some 50 ms.
constexpr double kTableWorkMax = 5e7;
constexpr double kUnreachable = std::numeric_limits<double>::infinity();

/// Moves per step of the table.
std::size_t step_of(std::span<const std::vector<const ReplanFrontier::Point*>> points, std::size_t moves_max) {
  double points_in_all = 0;
  for (const auto& layer : points) points_in_all += static_cast<double>(layer.size());
  return 1 + static_cast<std::size_t>(points_in_all * static_cast<double>(moves_max) / kTableWorkMax);
}

}  // namespace

ReplanFrontier::ReplanFrontier(std::size_t slots) : least_(slots + 1, std::numeric_limits<std::int64_t>::max()) {}

void ReplanFrontier::offer(const ReplanSlots& slots) {
  const std::int64_t largest = slots.largest_load();
  if (!improves(slots.moves(), largest)) return;
  offer({slots.moves(), largest, {slots.expert_of_slot().begin(), slots.expert_of_slot().end()}});
}

void ReplanFrontier::offer(Point point) {
  if (!improves(point.moves, point.largest_units)) return;
  for (std::size_t moves = point.moves; moves < least_.size() && least_[moves] > point.largest_units; ++moves)
    least_[moves] = point.largest_units;
  const std::size_t moves = point.moves;
  points_[moves] = std::move(point);
}

std::vector<const ReplanFrontier::Point*> ReplanFrontier::points() const {
  std::vector<const Point*> points;
  for (const auto& [moves, point] : points_) {
    if (points.empty() || point.largest_units < points.back()->largest_units) points.push_back(&point);
  }
  return points;
}

std::vector<std::size_t> allocate_moves(std::span<const ReplanFrontier> frontiers, std::span<const double> weight,
                                        std::size_t moves_max) {
  std::vector<std::vector<const ReplanFrontier::Point*>> points;
  std::size_t first_moves = 0;
  for (const ReplanFrontier& frontier : frontiers) {
    points.push_back(frontier.points());
    first_moves += points.back().front()->moves;
  }
  EVENKEEL_CHECK(first_moves <= moves_max, "the first points of all layers fit");
  // Beyond the first points, whole steps: rounded up, so that the sum never exceeds the budget.
  const std::size_t step = step_of(points, moves_max);
  const std::size_t steps = (moves_max - first_moves) / step;
  const auto steps_of = [&](std::size_t layer, std::size_t point) {
    return (points[layer][point]->moves - points[layer].front()->moves + step - 1) / step;
  };
  // least[s]: least sum of the layers so far with at most s steps.
  std::vector<double> least(steps + 1, 0.0);
  Grid<std::uint32_t> choice(points.size(), steps + 1);
  for (std::size_t layer = 0; layer < points.size(); ++layer) {
    std::vector<double> next(steps + 1, kUnreachable);
    for (std::size_t point = 0; point < points[layer].size(); ++point) {
      const double value = static_cast<double>(points[layer][point]->largest_units) * weight[layer];
      for (std::size_t s = steps_of(layer, point); s <= steps; ++s) {
        const double sum = least[s - steps_of(layer, point)] + value;
        if (sum >= next[s]) continue;
        next[s] = sum;
        choice(layer, s) = static_cast<std::uint32_t>(point);
      }
    }
    least = std::move(next);
  }
  std::vector<std::size_t> chosen(points.size());
  std::size_t left = steps;
  for (std::size_t layer = points.size(); layer-- > 0;) {
    chosen[layer] = choice(layer, left);
    left -= steps_of(layer, chosen[layer]);
  }
  return chosen;
}

}  // namespace evenkeel
