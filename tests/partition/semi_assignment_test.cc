#include "partition/model/semi_assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "partition/foundation/random.h"

namespace evenkeel::semi_assignment_test {
namespace {

/// In quarters from -50 to 50: sums are exact, and ties happen.
Grid<double> random_values(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  Random random(seed, 0);
  Grid<double> value(rows, columns);
  for (double& cell : value.cells()) cell = static_cast<double>(random.below(400)) / 4.0 - 50.0;
  return value;
}

double sum(const Grid<double>& value, const std::vector<std::size_t>& column_of_row) {
  double total = 0;
  for (std::size_t row = 0; row < column_of_row.size(); ++row) total += value(row, column_of_row[row]);
  return total;
}

bool is_within(const std::vector<std::size_t>& column_of_row, std::size_t columns, std::size_t capacity) {
  std::vector<std::size_t> rows(columns, 0);
  return std::ranges::all_of(column_of_row,
                             [&](std::size_t column) { return column < columns && ++rows[column] <= capacity; });
}

double brute_force(const Grid<double>& value, std::size_t capacity) {
  double best = -std::numeric_limits<double>::infinity();
  std::vector<std::size_t> column_of_row(value.rows(), 0);
  while (true) {
    if (is_within(column_of_row, value.cols(), capacity)) best = std::max(best, sum(value, column_of_row));
    std::size_t row = 0;
    while (row < value.rows() && ++column_of_row[row] == value.cols()) column_of_row[row++] = 0;
    if (row == value.rows()) return best;
  }
}

void expect_best(std::size_t rows, std::size_t columns, std::size_t capacity) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Grid<double> value = random_values(rows, columns, seed);
    const auto found = best_semi_assignment(value, capacity);
    ASSERT_EQ(found.size(), rows);
    ASSERT_TRUE(is_within(found, columns, capacity)) << rows << " x " << columns << ", seed " << seed;
    EXPECT_DOUBLE_EQ(sum(value, found), brute_force(value, capacity))
        << rows << " x " << columns << ", capacity " << capacity << ", seed " << seed;
  }
}

TEST(SemiAssignment, finds_the_best_permutation) {
  for (std::size_t size = 1; size <= 5; ++size) expect_best(size, size, 1);
}

TEST(SemiAssignment, finds_the_best_choice_where_columns_are_left_over) {
  expect_best(2, 5, 1);
  expect_best(4, 5, 1);
}

TEST(SemiAssignment, fills_columns_to_their_capacity_at_best_value) {
  expect_best(4, 2, 2);
  expect_best(6, 3, 2);
  expect_best(6, 2, 3);
}

TEST(SemiAssignment, leaves_room_in_columns_where_that_is_best) {
  expect_best(5, 3, 2);
  expect_best(4, 3, 4);
}

TEST(SemiAssignment, breaks_ties_by_column_number) {
  EXPECT_EQ(best_semi_assignment(Grid<double>(4, 4, 1.0), 1), (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(best_semi_assignment(Grid<double>(4, 2, 1.0), 2), (std::vector<std::size_t>{0, 0, 1, 1}));
}

}  // namespace
}  // namespace evenkeel::semi_assignment_test
