#include "partition/baseline/integer_program.h"

#include <algorithm>
#include <limits>

#include "partition/libraries/glpk_adapter.h"

namespace evenkeel {
namespace {

/// Simplex iterations of the first relaxation for each node allowed, where nodes are the limit.
constexpr std::uint64_t kIterationsPerNode = 100;

GlpkProblem problem_of(const IntegerProgram& program) {
  std::vector<GlpkProblem::Column> columns;
  for (const auto& [kind, cost] : program.columns()) {
    const bool is_binary = kind == IntegerProgram::Kind::kBinary;
    columns.push_back({is_binary ? 1.0 : std::numeric_limits<double>::infinity(), is_binary, cost});
  }
  std::vector<GlpkProblem::Row> rows;
  for (const auto& [lower, upper] : program.rows()) rows.push_back({lower, upper});
  std::vector<GlpkProblem::Entry> entries;
  for (const auto& [row, column, value] : program.entries()) entries.push_back({row, column, value});
  return GlpkProblem(GlpkProblem::Sense::kMinimise, program.constant(), columns, rows, entries);
}

/// Time that is left of a limit.
class Deadline {
 public:
  explicit Deadline(const ProgramLimit& limit) : limit_(limit.time) {}

  [[nodiscard]] bool has_passed() const { return limit_ && *left() <= std::chrono::milliseconds(0); }
  /// Absent: no limit.
  [[nodiscard]] std::optional<std::chrono::milliseconds> left() const {
    if (!limit_) return std::nullopt;
    const std::chrono::duration<double, std::milli> left = *limit_ - (std::chrono::steady_clock::now() - start_);
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(left.count(), 0.0, 1e9)));
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<std::chrono::duration<double>> limit_;
};

}  // namespace

ProgramSolution solve(const IntegerProgram& program, const ProgramLimit& limit) {
  ProgramSolution solution;
  if (limit.nodes && *limit.nodes == 0) return solution;
  const Deadline deadline(limit);
  GlpkProblem problem = problem_of(program);
  std::optional<std::uint64_t> iterations;
  if (limit.nodes) iterations = *limit.nodes * kIterationsPerNode;
  if (deadline.has_passed() ||
      !problem.relax({.time = deadline.left(), .iterations = iterations, .has_long_steps = true}) ||
      deadline.has_passed())
    return solution;
  const GlpkProblem::Branched branched = problem.branch({.gap_ratio = limit.gap_ratio,
                                                         .time = deadline.left(),
                                                         .nodes = limit.nodes,
                                                         .branches_on_most_fractional = true});
  solution.nodes = branched.nodes;
  if (!branched.has_solution) return solution;
  solution.values = problem.values();
  solution.finished = branched.is_within_gap || branched.is_complete;
  return solution;
}

}  // namespace evenkeel
