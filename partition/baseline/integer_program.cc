#include "partition/baseline/integer_program.h"

#include <glpk.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

struct ProblemDeleter {
  void operator()(glp_prob* problem) const { glp_delete_prob(problem); }
};
using Problem = std::unique_ptr<glp_prob, ProblemDeleter>;

/// Simplex iterations of the first relaxation for each node allowed, where nodes are the limit.
constexpr std::uint64_t kIterationsPerNode = 100;

/// GLPK counts from 1.
int one_based(std::size_t index) { return static_cast<int>(index) + 1; }

int bound_type(const IntegerProgram::Row& row) {
  if (row.lower == row.upper) return GLP_FX;
  if (std::isinf(row.lower)) return std::isinf(row.upper) ? GLP_FR : GLP_UP;
  return std::isinf(row.upper) ? GLP_LO : GLP_DB;
}

void add_columns(glp_prob* problem, std::span<const IntegerProgram::Column> columns) {
  if (columns.empty()) return;
  glp_add_cols(problem, static_cast<int>(columns.size()));
  for (std::size_t column = 0; column < columns.size(); ++column) {
    if (columns[column].kind == IntegerProgram::Kind::kBinary) {
      glp_set_col_kind(problem, one_based(column), GLP_BV);
    } else {
      glp_set_col_bnds(problem, one_based(column), GLP_LO, 0.0, 0.0);
    }
    glp_set_obj_coef(problem, one_based(column), columns[column].cost);
  }
}

void add_rows(glp_prob* problem, std::span<const IntegerProgram::Row> rows) {
  if (rows.empty()) return;
  glp_add_rows(problem, static_cast<int>(rows.size()));
  for (std::size_t row = 0; row < rows.size(); ++row)
    glp_set_row_bnds(problem, one_based(row), bound_type(rows[row]), rows[row].lower, rows[row].upper);
}

Problem build(const IntegerProgram& program) {
  constexpr std::size_t kCountMax = 100'000'000;  // GLPK's own limit on rows and on columns
  EVENKEEL_CHECK(
      program.columns().size() < kCountMax && program.rows().size() < kCountMax && program.entries().size() < kCountMax,
      "callers keep programs to sizes that can finish");
  Problem problem(glp_create_prob());
  glp_set_obj_dir(problem.get(), GLP_MIN);
  glp_set_obj_coef(problem.get(), 0, program.constant());
  add_columns(problem.get(), program.columns());
  add_rows(problem.get(), program.rows());
  std::vector<int> rows{0};
  std::vector<int> columns{0};
  std::vector<double> values{0.0};
  for (const auto& [row, column, value] : program.entries()) {
    EVENKEEL_CHECK(row < program.rows().size() && column < program.columns().size(), "entries are inside the matrix");
    rows.push_back(one_based(row));
    columns.push_back(one_based(column));
    values.push_back(value);
  }
  glp_load_matrix(problem.get(), static_cast<int>(program.entries().size()), rows.data(), columns.data(),
                  values.data());
  return problem;
}

/// What the callback of one branch and bound needs.
struct Search {
  std::optional<std::uint64_t> nodes_max;
  std::uint64_t nodes = 0;
};

void on_event(glp_tree* tree, void* info) {
  auto& search = *static_cast<Search*>(info);
  int nodes = 0;
  glp_ios_tree_size(tree, nullptr, nullptr, &nodes);
  search.nodes = static_cast<std::uint64_t>(nodes);
  if (search.nodes_max && search.nodes > *search.nodes_max) glp_ios_terminate(tree);
}

/// Time that is left of a limit.
class Deadline {
 public:
  explicit Deadline(const ProgramLimit& limit) : limit_(limit.time) {}

  [[nodiscard]] bool has_passed() const { return limit_ && milliseconds() <= 0; }
  /// As GLPK takes it: the largest int is no limit.
  [[nodiscard]] int milliseconds() const {
    if (!limit_) return std::numeric_limits<int>::max();
    const std::chrono::duration<double, std::milli> left = *limit_ - (std::chrono::steady_clock::now() - start_);
    return static_cast<int>(std::clamp(left.count(), 0.0, 1e9));
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<std::chrono::duration<double>> limit_;
};

bool solve_relaxation(glp_prob* problem, const ProgramLimit& limit, const Deadline& deadline) {
  glp_smcp control;
  glp_init_smcp(&control);
  control.msg_lev = GLP_MSG_OFF;
  control.meth = GLP_DUALP;
  control.r_test = GLP_RT_FLIP;
  control.tm_lim = deadline.milliseconds();
  if (limit.nodes)
    control.it_lim = static_cast<int>(std::min<std::uint64_t>(*limit.nodes * kIterationsPerNode, 1u << 30));
  glp_adv_basis(problem, 0);
  return glp_simplex(problem, &control) == 0 && glp_get_status(problem) == GLP_OPT;
}

std::vector<double> column_values(glp_prob* problem) {
  std::vector<double> values;
  for (int column = 1; column <= glp_get_num_cols(problem); ++column)
    values.push_back(glp_mip_col_val(problem, column));
  return values;
}

}  // namespace

ProgramSolution solve(const IntegerProgram& program, const ProgramLimit& limit) {
  ProgramSolution solution;
  if (limit.nodes && *limit.nodes == 0) return solution;
  const Deadline deadline(limit);
  glp_term_out(GLP_OFF);
  const Problem problem = build(program);
  if (deadline.has_passed() || !solve_relaxation(problem.get(), limit, deadline) || deadline.has_passed())
    return solution;
  Search search{limit.nodes};
  glp_iocp control;
  glp_init_iocp(&control);
  control.msg_lev = GLP_MSG_OFF;
  control.br_tech = GLP_BR_MFV;
  control.mip_gap = limit.gap_ratio;
  control.cb_func = on_event;
  control.cb_info = &search;
  control.tm_lim = deadline.milliseconds();
  const int code = glp_intopt(problem.get(), &control);
  solution.nodes = search.nodes;
  const int status = glp_mip_status(problem.get());
  const bool has_begun =
      code == 0 || code == GLP_EMIPGAP || code == GLP_ETMLIM || code == GLP_ESTOP || code == GLP_EFAIL;
  if (!has_begun || (status != GLP_OPT && status != GLP_FEAS)) return solution;
  solution.values = column_values(problem.get());
  solution.finished = code == GLP_EMIPGAP || (code == 0 && status == GLP_OPT);
  return solution;
}

}  // namespace evenkeel
