#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

struct glp_prob;

namespace evenkeel {

/// Whether this program was built with GLPK. Without it a GlpkProblem must not be made.
[[nodiscard]] bool has_glpk();

/// A mixed integer program in GLPK's hands. Rows and columns are numbered from 0. Sizes and indices that GLPK would end
/// the process for are bugs of our own, and stop it with their place. Made, solved and dropped on one thread, because
/// GLPK keeps its environment per thread; that memory is freed when the thread ends. Thread-safe in that sense.
class GlpkProblem {
 public:
  enum class Sense { kMinimise, kMaximise };
  /// From 0 to `upper`, which may be infinite.
  struct Column {
    double upper;
    /// Whole numbers only; `upper` is then 1.
    bool is_binary;
    double objective;
  };
  /// lower <= sum of its entries <= upper; either may be infinite, equal bounds are an equation.
  struct Row {
    double lower;
    double upper;
  };
  /// A cell of the matrix; each at most once.
  struct Entry {
    std::size_t row;
    std::size_t column;
    double value;
  };

  /// `constant` is the part of the objective that no column changes.
  GlpkProblem(Sense sense, double constant, std::span<const Column> columns, std::span<const Row> rows,
              std::span<const Entry> entries);

  struct RelaxOptions {
    /// Wall time; absent: no limit.
    std::optional<std::chrono::milliseconds> time{};
    std::optional<std::uint64_t> iterations{};
    /// The long-step ratio test.
    bool has_long_steps = false;
  };
  /// Solves the program without its whole numbers, by the dual simplex. Returns whether to its optimum.
  [[nodiscard]] bool relax(const RelaxOptions& options);

  /// Of a program that relax() has solved: its objective, what a column at 0 would change it by for each unit, and
  /// whether the column is at 0.
  [[nodiscard]] double relaxed_value() const;
  [[nodiscard]] double reduced_cost(std::size_t column) const;
  [[nodiscard]] bool is_at_zero(std::size_t column) const;
  void fix_at_zero(std::size_t column);

  struct BranchOptions {
    /// Relative gap between the best solution and the bound at which the search ends.
    double gap_ratio = 0;
    std::optional<std::chrono::milliseconds> time{};
    /// Nodes of branch and bound, so that equal arguments give equal results.
    std::optional<std::uint64_t> nodes{};
    /// Branches on the most fractional column, instead of by the rule of Driebeck and Tomlin.
    bool branches_on_most_fractional = false;
    /// A feasible solution [columns] to begin with, or empty.
    std::span<const double> incumbent{};
  };
  struct Branched {
    /// Whether values() and value() may be asked for.
    bool has_solution = false;
    /// The search ended by itself: its solution is the best that there is, or there is none.
    bool is_complete = false;
    /// The search ended at a solution within the gap.
    bool is_within_gap = false;
    /// No solution is better than this, by the tree alone; the relaxation's value at first.
    double bound = 0;
    std::uint64_t nodes = 0;
  };
  /// Branch and bound, after relax() has found the optimum.
  [[nodiscard]] Branched branch(const BranchOptions& options);

  /// The best solution's objective and columns [columns].
  [[nodiscard]] double value() const;
  [[nodiscard]] std::vector<double> values() const;

 private:
  struct Deleter {
    void operator()(glp_prob* problem) const;
  };

  [[nodiscard]] int checked(std::size_t column) const;

  std::unique_ptr<glp_prob, Deleter> problem_;
  std::size_t columns_;
  Sense sense_;
};

}  // namespace evenkeel
