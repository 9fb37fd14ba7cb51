#pragma once

#include <Eigen/Core>
#include <cstddef>

namespace evenkeel {

/// Takes row and column means out: P M P with P = I - 1 1^T / items.
template <class Matrix>
void centre(Matrix& matrix) {
  matrix.colwise() -= matrix.rowwise().mean().eval();
  matrix.rowwise() -= matrix.colwise().mean().eval();
}

/// Singular values of a square matrix in descending order, none less than the true one: roots of the Gram matrix's
/// eigenvalues, raised first by what rounding can have taken. A quarter of the time of a singular value decomposition.
/// Pure.
[[nodiscard]] Eigen::VectorXd singular_values_from_above(const Eigen::MatrixXd& matrix);

}  // namespace evenkeel
