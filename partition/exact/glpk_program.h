#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "partition/libraries/glpk_adapter.h"

namespace evenkeel {

/// Limit of one exact solve: wall time, or branch-and-bound nodes so that equal arguments give equal results.
struct ExactLimit {
  std::optional<std::chrono::duration<double>> time;
  std::optional<std::uint64_t> nodes;
};

/// A column of a program and its coefficient in a row.
struct Term {
  std::size_t column;
  double coefficient;
};

/// A program to be maximised over columns in [0, 1], some of them whole numbers. Needs has_glpk() to be solved.
class GlpkProgram {
 public:
  /// Returns the number of the new column.
  std::size_t add_binary(double gain) { return add_column(gain, true); }
  std::size_t add_fraction(double gain) { return add_column(gain, false); }
  /// Rows with coefficients of about 1 keep the matrix well scaled. Columns of a row are distinct.
  void add_row(std::span<const Term> terms, double lower, double upper);
  void add_equality(std::span<const Term> terms, double value) { add_row(terms, value, value); }

  struct Outcome {
    /// Of each column [columns]; the incumbent where nothing better was found.
    std::vector<double> values;
    double value = 0;
    /// By how much it is above the incumbent's.
    double gain = 0;
    /// No solution is above this.
    double bound = 0;
    bool is_improved = false;

    /// Whether the search ended with a proof, up to the gap that counts as closed.
    [[nodiscard]] bool is_closed() const;
  };

  /// Branch and bound from a feasible incumbent [columns], columns that cannot beat it fixed beforehand by their
  /// reduced costs. The incumbent is handed over in GLPK's callback, where the presolver would drop it. Values of
  /// improved solutions are whole numbers up to rounding; callers check what they build from them.
  [[nodiscard]] Outcome improve(std::span<const double> incumbent, const ExactLimit& limit) const;

 private:
  struct Row {
    std::size_t first_term;
    double lower;
    double upper;
  };

  std::size_t add_column(double gain, bool is_binary);
  [[nodiscard]] GlpkProblem problem() const;

  std::vector<double> gains_;
  std::vector<bool> is_binary_;
  std::vector<Row> rows_;
  std::vector<Term> terms_;
};

}  // namespace evenkeel
