#include "partition/exact/glpk_program.h"

#include <glpk.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

/// Relative gap at which a solve counts as closed: below what a held-out trace can tell apart.
constexpr double kGapClosed = 1e-4;

struct ProblemDeleter {
  void operator()(glp_prob* problem) const { glp_delete_prob(problem); }
};
using Problem = std::unique_ptr<glp_prob, ProblemDeleter>;

/// GLPK keeps memory for each thread that has called it.
struct ThreadMemory {
  ThreadMemory() = default;
  ThreadMemory(const ThreadMemory&) = delete;
  ThreadMemory& operator=(const ThreadMemory&) = delete;
  ~ThreadMemory() { glp_free_env(); }
};

/// GLPK numbers from 1.
int one_based(std::size_t index) { return static_cast<int>(index) + 1; }

double value_of(std::span<const double> gains, std::span<const double> values) {
  double sum = 0;
  for (std::size_t column = 0; column < gains.size(); ++column) sum += gains[column] * values[column];
  return sum;
}

/// Fixes at 0 every column that no solution better than `value` can use, by its reduced cost in the relaxation.
void fix_columns(glp_prob* problem, double value) {
  const double relaxed = glp_get_obj_val(problem);
  for (int column = 1; column <= glp_get_num_cols(problem); ++column) {
    const bool is_at_zero = glp_get_col_stat(problem, column) == GLP_NL;
    if (is_at_zero && relaxed + glp_get_col_dual(problem, column) < value - 1e-9)
      glp_set_col_bnds(problem, column, GLP_FX, 0.0, 0.0);
  }
}

/// State of one branch and bound, reached from GLPK's callback.
struct Search {
  std::span<const double> incumbent;
  std::optional<std::uint64_t> nodes_max;
  double bound;
  /// Value of the incumbent: what nothing is better than where nothing is found.
  double least;
  bool incumbent_given = false;
};

void on_event(glp_tree* tree, void* info) {
  auto& search = *static_cast<Search*>(info);
  if (const int best = glp_ios_best_node(tree); best != 0)
    search.bound = std::min(search.bound, glp_ios_node_bound(tree, best));
  if (glp_ios_reason(tree) == GLP_IHEUR && !search.incumbent_given) {
    search.incumbent_given = true;
    std::vector<double> values{0.0};
    values.insert(values.end(), search.incumbent.begin(), search.incumbent.end());
    glp_ios_heur_sol(tree, values.data());
  }
  if (search.nodes_max) {
    int nodes = 0;
    glp_ios_tree_size(tree, nullptr, nullptr, &nodes);
    if (static_cast<std::uint64_t>(nodes) > *search.nodes_max) glp_ios_terminate(tree);
  }
}

int milliseconds(const ExactLimit& limit) {
  if (!limit.time) return std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp(limit.time->count() * 1e3, 1.0, 1e9));
}

bool solve_relaxation(glp_prob* problem, const ExactLimit& limit) {
  glp_smcp simplex;
  glp_init_smcp(&simplex);
  simplex.msg_lev = GLP_MSG_OFF;
  simplex.meth = GLP_DUALP;
  simplex.tm_lim = milliseconds(limit);
  glp_adv_basis(problem, 0);
  return glp_simplex(problem, &simplex) == 0 && glp_get_status(problem) == GLP_OPT;
}

/// Whether GLPK holds an integer solution, all of which are feasible. A search that ends by itself has proved its
/// bound, which the tree, empty by then, no longer tells.
bool branch_and_bound(glp_prob* problem, Search& search, const ExactLimit& limit) {
  glp_iocp control;
  glp_init_iocp(&control);
  control.msg_lev = GLP_MSG_OFF;
  control.presolve = GLP_OFF;
  control.mip_gap = kGapClosed;
  control.cb_func = on_event;
  control.cb_info = &search;
  control.tm_lim = milliseconds(limit);
  const int code = glp_intopt(problem, &control);
  const int status = glp_mip_status(problem);
  if (code == 0 && status == GLP_OPT) search.bound = std::min(search.bound, glp_mip_obj_val(problem));
  if (code == 0 && status == GLP_NOFEAS) search.bound = search.least;
  return (code == 0 || code == GLP_ETMLIM || code == GLP_ESTOP || code == GLP_EMIPGAP) &&
         (status == GLP_OPT || status == GLP_FEAS);
}

}  // namespace

bool GlpkProgram::Outcome::is_closed() const { return bound - value <= kGapClosed * std::abs(value); }

std::size_t GlpkProgram::add_column(double gain, bool is_binary) {
  gains_.push_back(gain);
  is_binary_.push_back(is_binary);
  return gains_.size() - 1;
}

void GlpkProgram::add_row(std::span<const Term> terms, double lower, double upper) {
  rows_.push_back({terms_.size(), lower, upper});
  terms_.insert(terms_.end(), terms.begin(), terms.end());
}

GlpkProgram::Outcome GlpkProgram::improve(std::span<const double> incumbent, const ExactLimit& limit) const {
  EVENKEEL_CHECK(incumbent.size() == gains_.size(), "a value a column");
  const auto start = std::chrono::steady_clock::now();
  thread_local const ThreadMemory memory;
  glp_term_out(GLP_OFF);
  Outcome outcome{{incumbent.begin(), incumbent.end()}, value_of(gains_, incumbent)};
  outcome.bound = std::numeric_limits<double>::infinity();
  const Problem problem(glp_create_prob());
  glp_set_obj_dir(problem.get(), GLP_MAX);
  glp_add_cols(problem.get(), static_cast<int>(gains_.size()));
  for (std::size_t column = 0; column < gains_.size(); ++column) {
    glp_set_col_bnds(problem.get(), one_based(column), GLP_DB, 0.0, 1.0);
    if (is_binary_[column]) glp_set_col_kind(problem.get(), one_based(column), GLP_BV);
    glp_set_obj_coef(problem.get(), one_based(column), gains_[column]);
  }
  std::vector<int> rows{0};
  std::vector<int> columns{0};
  std::vector<double> values{0.0};
  if (!rows_.empty()) glp_add_rows(problem.get(), static_cast<int>(rows_.size()));
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const auto [first, lower, upper] = rows_[row];
    glp_set_row_bnds(problem.get(), one_based(row), lower == upper ? GLP_FX : GLP_DB, lower, upper);
    const std::size_t last = row + 1 < rows_.size() ? rows_[row + 1].first_term : terms_.size();
    for (std::size_t term = first; term < last; ++term) {
      rows.push_back(one_based(row));
      columns.push_back(one_based(terms_[term].column));
      values.push_back(terms_[term].coefficient);
    }
  }
  glp_load_matrix(problem.get(), static_cast<int>(terms_.size()), rows.data(), columns.data(), values.data());
  if (!solve_relaxation(problem.get(), limit)) return outcome;
  outcome.bound = std::max(outcome.value, glp_get_obj_val(problem.get()));
  if (outcome.is_closed()) return outcome;
  fix_columns(problem.get(), outcome.value);
  Search search{incumbent, limit.nodes, outcome.bound, outcome.value};
  ExactLimit rest = limit;
  if (rest.time) *rest.time -= std::chrono::steady_clock::now() - start;
  const bool has_solution = branch_and_bound(problem.get(), search, rest);
  outcome.bound = std::max(outcome.value, search.bound);
  if (!has_solution || glp_mip_obj_val(problem.get()) <= outcome.value) return outcome;
  outcome.is_improved = true;
  outcome.gain = glp_mip_obj_val(problem.get()) - outcome.value;
  outcome.value += outcome.gain;
  outcome.bound = std::max(outcome.bound, outcome.value);
  for (std::size_t column = 0; column < gains_.size(); ++column)
    outcome.values[column] = glp_mip_col_val(problem.get(), one_based(column));
  return outcome;
}

}  // namespace evenkeel
