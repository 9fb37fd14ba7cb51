#include "partition/refine/glpk_layer.h"

#include <glpk.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "partition/model/check.h"

namespace evenkeel {
namespace {

struct ProblemDeleter {
  void operator()(glp_prob* problem) const { glp_delete_prob(problem); }
};
using Problem = std::unique_ptr<glp_prob, ProblemDeleter>;

/// Relative gap at which a solve counts as closed: below what a held-out trace can tell apart.
constexpr double kGapClosed = 1e-4;

double kept_by(const LayerProgram& program, std::span<const GpuIndex> gpu_of_item) {
  double kept = 0;
  for (std::size_t item = 0; item < gpu_of_item.size(); ++item) kept += program.affinity(item, gpu_of_item[item]);
  return kept;
}

/// The program as GLPK sees it. Column (item, gpu) is 1-based item * gpus + gpu + 1.
class LayerModel {
 public:
  explicit LayerModel(const LayerProgram& program)
      : program_(program),
        items_(program.affinity.rows()),
        gpus_(program.affinity.cols()),
        problem_(glp_create_prob()) {
    glp_set_obj_dir(problem_.get(), GLP_MAX);
    glp_add_cols(problem_.get(), static_cast<int>(items_ * gpus_));
    for (std::size_t item = 0; item < items_; ++item) {
      for (std::size_t gpu = 0; gpu < gpus_; ++gpu) {
        glp_set_col_kind(problem_.get(), column(item, gpu), GLP_BV);
        glp_set_obj_coef(problem_.get(), column(item, gpu), program.affinity(item, gpu));
      }
    }
    add_item_rows();
    add_gpu_rows();
    add_replica_rows();
    std::vector<int> rows{0}, columns{0};
    std::vector<double> values{0.0};
    for (const Entry& entry : entries_) {
      rows.push_back(entry.row);
      columns.push_back(entry.column);
      values.push_back(entry.value);
    }
    glp_load_matrix(problem_.get(), static_cast<int>(entries_.size()), rows.data(), columns.data(), values.data());
  }

  [[nodiscard]] glp_prob* get() const { return problem_.get(); }
  [[nodiscard]] int column(std::size_t item, std::size_t gpu) const { return static_cast<int>(item * gpus_ + gpu) + 1; }

  /// Fixes at 0 every column that no solution better than `kept` can use, by its reduced cost in the relaxation.
  void fix_columns(double kept) {
    const double relaxed = glp_get_obj_val(problem_.get());
    for (int column = 1; column <= glp_get_num_cols(problem_.get()); ++column) {
      const bool is_at_zero = glp_get_col_stat(problem_.get(), column) == GLP_NL;
      if (is_at_zero && relaxed + glp_get_col_dual(problem_.get(), column) < kept - 1e-9) {
        glp_set_col_bnds(problem_.get(), column, GLP_FX, 0.0, 0.0);
      }
    }
  }

  /// The assignment in GLPK's integer solution, or nothing where rounding left it outside the rows.
  [[nodiscard]] std::optional<std::vector<GpuIndex>> solution() const {
    std::vector<GpuIndex> gpu_of_item(items_);
    std::vector<std::int64_t> load(gpus_, 0);
    std::vector<std::size_t> count(gpus_, 0);
    for (std::size_t item = 0; item < items_; ++item) {
      std::size_t chosen = 0;
      for (std::size_t gpu = 0; gpu < gpus_; ++gpu) {
        if (glp_mip_col_val(problem_.get(), column(item, gpu)) > 0.5) chosen = gpu;
      }
      gpu_of_item[item] = static_cast<GpuIndex>(chosen);
      load[chosen] += program_.load_units[item];
      ++count[chosen];
    }
    const bool fits = std::ranges::all_of(load, [&](auto units) { return units <= program_.cap_units; }) &&
                      std::ranges::all_of(count, [&](auto items) { return items == program_.slots_per_gpu; });
    if (!fits) return std::nullopt;
    return gpu_of_item;
  }

 private:
  struct Entry {
    int row;
    int column;
    double value;
  };

  void add_item_rows() {
    for (std::size_t item = 0; item < items_; ++item) {
      const int row = add_row(GLP_FX, 1.0);
      for (std::size_t gpu = 0; gpu < gpus_; ++gpu) entries_.push_back({row, column(item, gpu), 1.0});
    }
  }

  void add_gpu_rows() {
    // Loads in units of the cap keep the matrix well scaled.
    const double scale = 1.0 / static_cast<double>(std::max<std::int64_t>(1, program_.cap_units));
    for (std::size_t gpu = 0; gpu < gpus_; ++gpu) {
      const int slots = add_row(GLP_FX, static_cast<double>(program_.slots_per_gpu));
      const int load = add_row(GLP_UP, 1.0);
      for (std::size_t item = 0; item < items_; ++item) {
        entries_.push_back({slots, column(item, gpu), 1.0});
        const double units = static_cast<double>(program_.load_units[item]);
        if (units > 0) entries_.push_back({load, column(item, gpu), units * scale});
      }
    }
  }

  void add_replica_rows() {
    for (std::size_t first = 0; first < items_;) {
      std::size_t last = first + 1;
      while (last < items_ && program_.expert_of_item[last] == program_.expert_of_item[first]) ++last;
      for (std::size_t gpu = 0; gpu < gpus_ && last - first > 1; ++gpu) {
        const int row = add_row(GLP_UP, 1.0);
        for (std::size_t item = first; item < last; ++item) entries_.push_back({row, column(item, gpu), 1.0});
      }
      first = last;
    }
  }

  int add_row(int type, double bound) {
    const int row = glp_add_rows(problem_.get(), 1);
    glp_set_row_bnds(problem_.get(), row, type, bound, bound);
    return row;
  }

  const LayerProgram& program_;
  std::size_t items_;
  std::size_t gpus_;
  Problem problem_;
  std::vector<Entry> entries_;
};

/// State of one branch and bound, reached from GLPK's callback.
struct Search {
  const LayerModel* model;
  const LayerProgram* program;
  std::optional<std::uint64_t> nodes_max;
  double bound;
  bool incumbent_given = false;
};

void on_event(glp_tree* tree, void* info) {
  auto& search = *static_cast<Search*>(info);
  if (const int best = glp_ios_best_node(tree); best != 0)
    search.bound = std::min(search.bound, glp_ios_node_bound(tree, best));
  if (glp_ios_reason(tree) == GLP_IHEUR && !search.incumbent_given) {
    search.incumbent_given = true;
    std::vector<double> values(static_cast<std::size_t>(glp_get_num_cols(search.model->get())) + 1, 0.0);
    for (std::size_t item = 0; item < search.program->incumbent.size(); ++item) {
      values[static_cast<std::size_t>(search.model->column(item, search.program->incumbent[item]))] = 1.0;
    }
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

bool solve_relaxation(const LayerModel& model, const ExactLimit& limit) {
  glp_smcp simplex;
  glp_init_smcp(&simplex);
  simplex.msg_lev = GLP_MSG_OFF;
  simplex.meth = GLP_DUALP;
  simplex.tm_lim = milliseconds(limit);
  glp_adv_basis(model.get(), 0);
  return glp_simplex(model.get(), &simplex) == 0 && glp_get_status(model.get()) == GLP_OPT;
}

}  // namespace

LayerSolution solve_layer(const LayerProgram& program, const ExactLimit& limit) {
  const auto start = std::chrono::steady_clock::now();
  glp_term_out(GLP_OFF);
  LayerSolution result{{program.incumbent.begin(), program.incumbent.end()},
                       kept_by(program, program.incumbent),
                       std::numeric_limits<double>::infinity()};
  LayerModel model(program);
  if (!solve_relaxation(model, limit)) return result;
  result.bound = std::max(result.kept, glp_get_obj_val(model.get()));
  if (result.bound - result.kept <= kGapClosed * std::abs(result.kept)) return result;
  model.fix_columns(result.kept);
  Search search{&model, &program, limit.nodes, result.bound};
  glp_iocp control;
  glp_init_iocp(&control);
  control.msg_lev = GLP_MSG_OFF;
  control.presolve = GLP_OFF;
  control.mip_gap = kGapClosed;
  control.cb_func = on_event;
  control.cb_info = &search;
  control.tm_lim = milliseconds(limit);
  if (limit.time) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    control.tm_lim = milliseconds({*limit.time - spent, std::nullopt});
  }
  const int code = glp_intopt(model.get(), &control);
  result.bound = std::max(result.kept, search.bound);
  const bool has_solution = (code == 0 || code == GLP_ETMLIM || code == GLP_ESTOP || code == GLP_EMIPGAP) &&
                            (glp_mip_status(model.get()) == GLP_OPT || glp_mip_status(model.get()) == GLP_FEAS);
  if (!has_solution) return result;
  if (auto found = model.solution(); found && kept_by(program, *found) > result.kept) {
    result.kept = kept_by(program, *found);
    result.gpu_of_item = *std::move(found);
  }
  result.bound = std::max(result.bound, result.kept);
  return result;
}

}  // namespace evenkeel
