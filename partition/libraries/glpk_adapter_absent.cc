// In place of glpk_adapter.cc where evenkeel is built without GLPK.
#include "partition/foundation/check.h"
#include "partition/libraries/glpk_adapter.h"

namespace evenkeel {
namespace {

constexpr const char* kAbsent = "built without GLPK, which has_glpk() tells";

}  // namespace

bool has_glpk() { return false; }

void GlpkProblem::Deleter::operator()(glp_prob*) const {}

GlpkProblem::GlpkProblem(Sense sense, double, std::span<const Column> columns, std::span<const Row>,
                         std::span<const Entry>)
    : columns_(columns.size()), sense_(sense) {
  EVENKEEL_CHECK(has_glpk(), kAbsent);
}

int GlpkProblem::checked(std::size_t column) const { return static_cast<int>(column); }
bool GlpkProblem::relax(const RelaxOptions&) { return false; }
double GlpkProblem::relaxed_value() const { return 0; }
double GlpkProblem::reduced_cost(std::size_t) const { return 0; }
bool GlpkProblem::is_at_zero(std::size_t) const { return false; }
void GlpkProblem::fix_at_zero(std::size_t) {}
GlpkProblem::Branched GlpkProblem::branch(const BranchOptions&) { return {}; }
double GlpkProblem::value() const { return 0; }
std::vector<double> GlpkProblem::values() const { return {}; }

}  // namespace evenkeel
