#include "partition/baseline/integer_program.h"

#include <gtest/gtest.h>

#include <limits>

#include "partition/foundation/random.h"

namespace evenkeel::integer_program_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Columns that all fit together only in part: a knapsack of 10.
IntegerProgram knapsack() {
  IntegerProgram program;
  const std::size_t row = program.add_row(-kInfinity, 10.0);
  const double weight[] = {6, 5, 5, 4};
  const double value[] = {10, 7, 6, 4};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t column = program.add_columns(IntegerProgram::Kind::kBinary, 1, -value[i]);
    program.add_entry(row, column, weight[i]);
  }
  return program;
}

/// A subset sum of even numbers that must be odd: no relaxation tells, and branch and bound takes ages.
IntegerProgram hopeless(std::size_t columns) {
  IntegerProgram program;
  program.add_columns(IntegerProgram::Kind::kBinary, columns, 1.0);
  const std::size_t row =
      program.add_row(static_cast<double>(columns) * 500 + 1, static_cast<double>(columns) * 500 + 1);
  Random random(1, 0);
  for (std::size_t column = 0; column < columns; ++column)
    program.add_entry(row, column, 2.0 * (500 + random.below(100)));
  return program;
}

TEST(IntegerProgram, is_solved_to_its_optimum) {
  const ProgramSolution solution = solve(knapsack(), {});
  ASSERT_TRUE(solution.finished);
  EXPECT_EQ(solution.values, (std::vector<double>{1, 0, 0, 1}));
}

TEST(IntegerProgram, keeps_equations_and_ranges) {
  IntegerProgram program;
  const std::size_t first = program.add_columns(IntegerProgram::Kind::kContinuous, 2, 1.0);
  const std::size_t range = program.add_row(2.0, 3.0);
  const std::size_t equation = program.add_row(5.0, 5.0);
  program.add_entry(range, first, 1.0);
  program.add_entry(equation, first, 1.0);
  program.add_entry(equation, first + 1, 0.5);
  const ProgramSolution solution = solve(program, {});
  ASSERT_TRUE(solution.finished);
  EXPECT_DOUBLE_EQ(solution.values[0], 3.0);
  EXPECT_DOUBLE_EQ(solution.values[1], 4.0);
}

TEST(IntegerProgram, has_no_solution_where_rows_contradict) {
  IntegerProgram program = knapsack();
  program.add_entry(program.add_row(2.0, kInfinity), 0, 1.0);
  const ProgramSolution solution = solve(program, {});
  EXPECT_TRUE(solution.values.empty());
  EXPECT_FALSE(solution.finished);
}

TEST(IntegerProgram, is_not_begun_without_time_or_nodes) {
  EXPECT_TRUE(solve(knapsack(), {0.0, std::chrono::duration<double>(0), std::nullopt}).values.empty());
  EXPECT_TRUE(solve(knapsack(), {0.0, std::nullopt, 0}).values.empty());
}

TEST(IntegerProgram, ends_at_its_limits_of_time_and_nodes) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(solve(hopeless(60), {0.0, std::chrono::duration<double>(0.1), std::nullopt}).finished);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(400));
  const ProgramSolution limited = solve(hopeless(60), {0.0, std::nullopt, 50});
  EXPECT_FALSE(limited.finished);
  EXPECT_LE(limited.nodes, 60U);
}

}  // namespace
}  // namespace evenkeel::integer_program_test
