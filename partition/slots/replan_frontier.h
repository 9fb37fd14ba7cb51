#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "partition/slots/replan_slots.h"

namespace evenkeel {

/// The least largest load found for each number of moves of a layer, and the slots that have it.
class ReplanFrontier {
 public:
  struct Point {
    std::size_t moves = 0;
    std::int64_t largest_units = 0;
    std::vector<ExpertIndex> expert_of_slot;
  };

  /// Of a layer of so many slots.
  explicit ReplanFrontier(std::size_t slots);

  /// Whether no point of at most so many moves has such a largest load.
  [[nodiscard]] bool improves(std::size_t moves, std::int64_t largest_units) const {
    return largest_units < least_[moves];
  }
  /// Keeps slots where they improve.
  void offer(const ReplanSlots& slots);
  void offer(Point point);
  /// Points by number of moves, each with a lower largest load than the one before; valid until the next offer().
  [[nodiscard]] std::vector<const Point*> points() const;

 private:
  /// Least largest load with at most so many moves [slots + 1].
  std::vector<std::int64_t> least_;
  std::map<std::size_t, Point> points_;
};

/// Picks a point of each frontier so that their moves are at most `moves_max` and the sum of largest load x weight
/// [layers] is least: a knapsack, by dynamic programming. Where it would take long, in steps of a few moves. Needs
/// frontiers whose first points fit. Returns indices of points().
[[nodiscard]] std::vector<std::size_t> allocate_moves(std::span<const ReplanFrontier> frontiers,
                                                      std::span<const double> weight, std::size_t moves_max);

}  // namespace evenkeel
