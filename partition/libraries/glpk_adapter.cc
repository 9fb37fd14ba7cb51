#include "partition/libraries/glpk_adapter.h"

#include <glpk.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

/// GLPK's own limit on rows, on columns and on entries.
constexpr std::size_t kCountMax = 100'000'000;

/// Frees what GLPK keeps for a thread that has called it, at the end of that thread.
struct ThreadMemory {
  ThreadMemory() = default;
  ThreadMemory(const ThreadMemory&) = delete;
  ThreadMemory& operator=(const ThreadMemory&) = delete;
  ~ThreadMemory() { glp_free_env(); }
};

/// GLPK numbers from 1.
int one_based(std::size_t index) { return static_cast<int>(index) + 1; }

/// As GLPK takes it: the largest int is no limit.
int milliseconds(std::optional<std::chrono::milliseconds> time) {
  if (!time) return std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp<std::int64_t>(time->count(), 0, 1'000'000'000));
}

int bound_type(double lower, double upper) {
  if (lower == upper) return GLP_FX;
  if (std::isinf(lower)) return std::isinf(upper) ? GLP_FR : GLP_UP;
  return std::isinf(upper) ? GLP_LO : GLP_DB;
}

void add_columns(glp_prob* problem, std::span<const GlpkProblem::Column> columns) {
  if (columns.empty()) return;
  glp_add_cols(problem, static_cast<int>(columns.size()));
  for (std::size_t index = 0; index < columns.size(); ++index) {
    const auto& [upper, is_binary, objective] = columns[index];
    glp_set_col_bnds(problem, one_based(index), bound_type(0.0, upper), 0.0, upper);
    if (is_binary) glp_set_col_kind(problem, one_based(index), GLP_BV);
    glp_set_obj_coef(problem, one_based(index), objective);
  }
}

void add_rows(glp_prob* problem, std::span<const GlpkProblem::Row> rows) {
  if (rows.empty()) return;
  glp_add_rows(problem, static_cast<int>(rows.size()));
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const auto& [lower, upper] = rows[index];
    glp_set_row_bnds(problem, one_based(index), bound_type(lower, upper), lower, upper);
  }
}

/// What GLPK's callback needs of one branch and bound.
struct Search {
  const GlpkProblem::BranchOptions& options;
  bool is_maximum;
  GlpkProblem::Branched result{};
  bool incumbent_given = false;
};

void on_event(glp_tree* tree, void* info) {
  auto& search = *static_cast<Search*>(info);
  double& bound = search.result.bound;
  if (const int best = glp_ios_best_node(tree); best != 0) {
    const double node = glp_ios_node_bound(tree, best);
    bound = search.is_maximum ? std::min(bound, node) : std::max(bound, node);
  }
  const std::span<const double> incumbent = search.options.incumbent;
  if (glp_ios_reason(tree) == GLP_IHEUR && !search.incumbent_given && !incumbent.empty()) {
    search.incumbent_given = true;
    std::vector<double> values{0.0};
    values.insert(values.end(), incumbent.begin(), incumbent.end());
    glp_ios_heur_sol(tree, values.data());
  }
  int nodes = 0;
  glp_ios_tree_size(tree, nullptr, nullptr, &nodes);
  search.result.nodes = static_cast<std::uint64_t>(nodes);
  if (search.options.nodes && search.result.nodes > *search.options.nodes) glp_ios_terminate(tree);
}

}  // namespace

bool has_glpk() { return true; }

void GlpkProblem::Deleter::operator()(glp_prob* problem) const { glp_delete_prob(problem); }

GlpkProblem::GlpkProblem(Sense sense, double constant, std::span<const Column> columns, std::span<const Row> rows,
                         std::span<const Entry> entries)
    : columns_(columns.size()), sense_(sense) {
  EVENKEEL_CHECK(columns.size() < kCountMax && rows.size() < kCountMax && entries.size() < kCountMax,
                 "callers keep programs to sizes that can finish");
  thread_local const ThreadMemory memory;
  glp_term_out(GLP_OFF);
  problem_.reset(glp_create_prob());
  glp_set_obj_dir(problem_.get(), sense == Sense::kMaximise ? GLP_MAX : GLP_MIN);
  glp_set_obj_coef(problem_.get(), 0, constant);
  add_columns(problem_.get(), columns);
  add_rows(problem_.get(), rows);
  // GLPK leaves out what is at place 0.
  std::vector<int> row_of{0};
  std::vector<int> column_of{0};
  std::vector<double> value_of{0.0};
  for (const auto& [row, column, value] : entries) {
    EVENKEEL_CHECK(row < rows.size() && column < columns.size(), "entries are inside the matrix");
    row_of.push_back(one_based(row));
    column_of.push_back(one_based(column));
    value_of.push_back(value);
  }
  glp_load_matrix(problem_.get(), static_cast<int>(entries.size()), row_of.data(), column_of.data(), value_of.data());
}

bool GlpkProblem::relax(const RelaxOptions& options) {
  constexpr std::uint64_t kIterationsMax = 1u << 30;
  glp_smcp control;
  glp_init_smcp(&control);
  control.msg_lev = GLP_MSG_OFF;
  control.meth = GLP_DUALP;
  if (options.has_long_steps) control.r_test = GLP_RT_FLIP;
  control.tm_lim = milliseconds(options.time);
  if (options.iterations) control.it_lim = static_cast<int>(std::min(*options.iterations, kIterationsMax));
  glp_adv_basis(problem_.get(), 0);
  return glp_simplex(problem_.get(), &control) == 0 && glp_get_status(problem_.get()) == GLP_OPT;
}

int GlpkProblem::checked(std::size_t column) const {
  EVENKEEL_CHECK(column < columns_, "a column of the program");
  return one_based(column);
}

double GlpkProblem::relaxed_value() const { return glp_get_obj_val(problem_.get()); }

double GlpkProblem::reduced_cost(std::size_t column) const { return glp_get_col_dual(problem_.get(), checked(column)); }

bool GlpkProblem::is_at_zero(std::size_t column) const {
  return glp_get_col_stat(problem_.get(), checked(column)) == GLP_NL;
}

void GlpkProblem::fix_at_zero(std::size_t column) {
  glp_set_col_bnds(problem_.get(), checked(column), GLP_FX, 0.0, 0.0);
}

GlpkProblem::Branched GlpkProblem::branch(const BranchOptions& options) {
  EVENKEEL_CHECK(options.incumbent.empty() || options.incumbent.size() == columns_, "a value a column");
  Search search{options, sense_ == Sense::kMaximise};
  search.result.bound = relaxed_value();
  glp_iocp control;
  glp_init_iocp(&control);
  control.msg_lev = GLP_MSG_OFF;
  // The presolver would drop the incumbent.
  control.presolve = GLP_OFF;
  if (options.branches_on_most_fractional) control.br_tech = GLP_BR_MFV;
  control.mip_gap = options.gap_ratio;
  control.cb_func = on_event;
  control.cb_info = &search;
  control.tm_lim = milliseconds(options.time);
  const int code = glp_intopt(problem_.get(), &control);
  const int status = glp_mip_status(problem_.get());
  const bool has_begun =
      code == 0 || code == GLP_EMIPGAP || code == GLP_ETMLIM || code == GLP_ESTOP || code == GLP_EFAIL;
  Branched result = search.result;
  result.has_solution = has_begun && (status == GLP_OPT || status == GLP_FEAS);
  result.is_complete = code == 0 && (status == GLP_OPT || status == GLP_NOFEAS);
  result.is_within_gap = code == GLP_EMIPGAP;
  return result;
}

double GlpkProblem::value() const { return glp_mip_obj_val(problem_.get()); }

std::vector<double> GlpkProblem::values() const {
  std::vector<double> values;
  for (std::size_t column = 0; column < columns_; ++column)
    values.push_back(glp_mip_col_val(problem_.get(), one_based(column)));
  return values;
}

}  // namespace evenkeel
