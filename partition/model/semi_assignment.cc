#include "partition/model/semi_assignment.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

/// The assignment of the rows taken in so far, with prices that prove it the best one.
class AugmentingPaths {
 public:
  AugmentingPaths(const Grid<double>& value, std::size_t capacity)
      : value_(value),
        capacity_(capacity),
        column_of_row_(value.rows(), kNone),
        row_price_(value.rows(), 0.0),
        column_price_(value.cols(), 0.0),
        rows_of_column_(value.cols()),
        distance_(value.cols()),
        reached_from_(value.cols()),
        is_final_(value.cols()) {}

  void add(std::size_t row) {
    std::ranges::fill(distance_, std::numeric_limits<double>::infinity());
    is_final_.assign(is_final_.size(), false);
    relax(row, 0.0);
    std::size_t column = nearest();
    while (rows_of_column_[column].size() == capacity_) {
      is_final_[column] = true;
      for (const std::size_t other : rows_of_column_[column]) relax(other, distance_[column]);
      column = nearest();
    }
    raise_prices(row, distance_[column]);
    shift_rows(row, column);
  }

  [[nodiscard]] const std::vector<std::size_t>& column_of_row() const { return column_of_row_; }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  void relax(std::size_t row, double base) {
    const auto values = value_[row];
    for (std::size_t column = 0; column < values.size(); ++column) {
      const double through = base - values[column] - row_price_[row] - column_price_[column];
      if (is_final_[column] || through >= distance_[column]) continue;
      distance_[column] = through;
      reached_from_[column] = row;
    }
  }

  [[nodiscard]] std::size_t nearest() const {
    std::size_t best = kNone;
    for (std::size_t column = 0; column < distance_.size(); ++column) {
      if (!is_final_[column] && (best == kNone || distance_[column] < distance_[best])) best = column;
    }
    EVENKEEL_CHECK(best != kNone, "columns have room for every row");
    return best;
  }

  void raise_prices(std::size_t row, double length) {
    row_price_[row] += length;
    for (std::size_t column = 0; column < distance_.size(); ++column) {
      if (!is_final_[column]) continue;
      column_price_[column] += distance_[column] - length;
      for (const std::size_t other : rows_of_column_[column]) row_price_[other] += length - distance_[column];
    }
  }

  void shift_rows(std::size_t row, std::size_t column) {
    while (true) {
      const std::size_t moved = reached_from_[column];
      const std::size_t left = column_of_row_[moved];
      rows_of_column_[column].push_back(moved);
      column_of_row_[moved] = column;
      if (moved == row) return;
      std::erase(rows_of_column_[left], moved);
      column = left;
    }
  }

  const Grid<double>& value_;
  std::size_t capacity_;
  std::vector<std::size_t> column_of_row_;
  std::vector<double> row_price_;
  std::vector<double> column_price_;
  std::vector<std::vector<std::size_t>> rows_of_column_;
  /// Of one search: length of the shortest path to each column, the row before it, and whether it is settled.
  std::vector<double> distance_;
  std::vector<std::size_t> reached_from_;
  std::vector<bool> is_final_;
};

}  // namespace

std::vector<std::size_t> best_semi_assignment(const Grid<double>& value, std::size_t capacity) {
  EVENKEEL_CHECK(value.rows() <= value.cols() * capacity, "columns have room for every row");
  AugmentingPaths paths(value, capacity);
  for (std::size_t row = 0; row < value.rows(); ++row) paths.add(row);
  return paths.column_of_row();
}

}  // namespace evenkeel
