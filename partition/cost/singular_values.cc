#include "partition/cost/singular_values.h"

#include <Eigen/Eigenvalues>
#include <cmath>
#include <limits>

namespace evenkeel {

Eigen::VectorXd singular_values_from_above(const Eigen::MatrixXd& matrix) {
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(matrix.cols(), matrix.cols());
  gram.selfadjointView<Eigen::Lower>().rankUpdate(matrix.transpose());
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram, Eigen::EigenvaluesOnly);
  // No singular value is above the Frobenius norm.
  if (solver.info() != Eigen::Success) return Eigen::VectorXd::Constant(matrix.cols(), std::sqrt(gram.trace()));
  // Weyl: an eigenvalue is off by no more than the norm of the error, which for product and solver is a few items x
  // epsilon of the trace.
  const double error = 4.0 * static_cast<double>(matrix.cols()) * std::numeric_limits<double>::epsilon() * gram.trace();
  return (solver.eigenvalues().reverse().array().max(0.0) + error).sqrt();
}

}  // namespace evenkeel
