#include "partition/exact/glpk_program.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "partition/foundation/check.h"
#include "partition/libraries/glpk_adapter.h"

namespace evenkeel {
namespace {

/// Relative gap at which a solve counts as closed: below what a held-out trace can tell apart.
constexpr double kGapClosed = 1e-4;

double value_of(std::span<const double> gains, std::span<const double> values) {
  double sum = 0;
  for (std::size_t column = 0; column < gains.size(); ++column) sum += gains[column] * values[column];
  return sum;
}

/// Fixes at 0 every column that no solution better than `value` can use, by its reduced cost in the relaxation.
void fix_columns(GlpkProblem& problem, std::size_t columns, double value) {
  const double relaxed = problem.relaxed_value();
  for (std::size_t column = 0; column < columns; ++column) {
    if (problem.is_at_zero(column) && relaxed + problem.reduced_cost(column) < value - 1e-9)
      problem.fix_at_zero(column);
  }
}

/// Not nothing: a solve is begun before its time is looked at.
std::optional<std::chrono::milliseconds> whole_milliseconds(std::optional<std::chrono::duration<double>> time) {
  if (!time) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(time->count() * 1e3, 1.0, 1e9)));
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

GlpkProblem GlpkProgram::problem() const {
  std::vector<GlpkProblem::Column> columns;
  for (std::size_t column = 0; column < gains_.size(); ++column)
    columns.push_back({1.0, is_binary_[column], gains_[column]});
  std::vector<GlpkProblem::Row> rows;
  std::vector<GlpkProblem::Entry> entries;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const auto [first, lower, upper] = rows_[row];
    rows.push_back({lower, upper});
    const std::size_t last = row + 1 < rows_.size() ? rows_[row + 1].first_term : terms_.size();
    for (std::size_t term = first; term < last; ++term)
      entries.push_back({row, terms_[term].column, terms_[term].coefficient});
  }
  return GlpkProblem(GlpkProblem::Sense::kMaximise, 0.0, columns, rows, entries);
}

GlpkProgram::Outcome GlpkProgram::improve(std::span<const double> incumbent, const ExactLimit& limit) const {
  EVENKEEL_CHECK(incumbent.size() == gains_.size(), "a value a column");
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome{{incumbent.begin(), incumbent.end()}, value_of(gains_, incumbent)};
  outcome.bound = std::numeric_limits<double>::infinity();
  GlpkProblem glpk = problem();
  if (!glpk.relax({.time = whole_milliseconds(limit.time)})) return outcome;
  outcome.bound = std::max(outcome.value, glpk.relaxed_value());
  if (outcome.is_closed()) return outcome;
  fix_columns(glpk, gains_.size(), outcome.value);
  std::optional<std::chrono::duration<double>> rest = limit.time;
  if (rest) *rest -= std::chrono::steady_clock::now() - start;
  const GlpkProblem::Branched branched = glpk.branch(
      {.gap_ratio = kGapClosed, .time = whole_milliseconds(rest), .nodes = limit.nodes, .incumbent = incumbent});
  // A search that ends by itself has proved its bound, which the tree, empty by then, no longer tells.
  double bound = branched.bound;
  if (branched.is_complete) bound = branched.has_solution ? std::min(bound, glpk.value()) : outcome.value;
  outcome.bound = std::max(outcome.value, bound);
  if (!branched.has_solution || glpk.value() <= outcome.value) return outcome;
  outcome.is_improved = true;
  outcome.gain = glpk.value() - outcome.value;
  outcome.value += outcome.gain;
  outcome.bound = std::max(outcome.bound, outcome.value);
  outcome.values = glpk.values();
  return outcome;
}

}  // namespace evenkeel
