#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace evenkeel {

/// A program to be minimised over columns that are binary or not negative: what published planners write down, free of
/// a solver's types. Rows and columns are numbered from 0.
class IntegerProgram {
 public:
  enum class Kind { kBinary, kContinuous };
  struct Column {
    Kind kind;
    double cost;
  };
  /// lower <= sum of entries <= upper; either may be infinite, equal bounds are an equation.
  struct Row {
    double lower;
    double upper;
  };
  struct Entry {
    std::size_t row;
    std::size_t column;
    double value;
  };

  /// Adds `count` equal columns and returns the first.
  std::size_t add_columns(Kind kind, std::size_t count, double cost = 0.0) {
    columns_.resize(columns_.size() + count, Column{kind, cost});
    return columns_.size() - count;
  }
  void set_cost(std::size_t column, double cost) { columns_[column].cost = cost; }
  /// Part of the objective that no column changes; the relative gap counts it.
  void set_constant(double constant) { constant_ = constant; }
  std::size_t add_row(double lower, double upper) {
    rows_.push_back({lower, upper});
    return rows_.size() - 1;
  }
  /// A cell of the matrix; each at most once.
  void add_entry(std::size_t row, std::size_t column, double value) { entries_.push_back({row, column, value}); }

  [[nodiscard]] double constant() const { return constant_; }
  [[nodiscard]] std::span<const Column> columns() const { return columns_; }
  [[nodiscard]] std::span<const Row> rows() const { return rows_; }
  [[nodiscard]] std::span<const Entry> entries() const { return entries_; }

 private:
  double constant_ = 0;
  std::vector<Column> columns_;
  std::vector<Row> rows_;
  std::vector<Entry> entries_;
};

/// When a solve ends: at a proof to within the gap, or at the first limit.
struct ProgramLimit {
  /// Relative gap between the best solution and the bound that counts as solved; not negative.
  double gap_ratio = 0.0;
  std::optional<std::chrono::duration<double>> time;
  /// Nodes of branch and bound, so that equal arguments give equal results.
  std::optional<std::uint64_t> nodes;
};

struct ProgramSolution {
  /// Best solution found [columns]; empty where none was.
  std::vector<double> values;
  /// Whether it is proved to be within the gap.
  bool finished = false;
  /// Nodes of branch and bound made.
  std::uint64_t nodes = 0;
};

/// Solves by GLPK's simplex and branch and bound, no start given. Away from its defaults in two points, which both help
/// the programs here: the long-step ratio test (a third of the iterations of a first relaxation), and branching on the
/// most fractional column (first solutions in half the time). The limits hold inside a linear program too, but for one
/// factorisation of its basis. Needs has_glpk(). Thread-safe.
[[nodiscard]] ProgramSolution solve(const IntegerProgram& program, const ProgramLimit& limit);

}  // namespace evenkeel
