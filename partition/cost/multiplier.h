#pragma once

#include <Eigen/Core>
#include <cstddef>

namespace evenkeel {

/// A multiplier M for which the bound of kept_traffic_bounds(), sum of max(0, traffic - M) + max of <M, Y> over the Y
/// of the right spectrum, is low. By ADMM on: maximise <traffic, Y> over Y in [0, 1] entrywise and over Z of the right
/// spectrum, Y = Z. In single precision, since any M is a valid one. Needs at least two groups. Pure; an iteration
/// takes one eigendecomposition. Returns M [items, items].
[[nodiscard]] Eigen::MatrixXd improved_multiplier(const Eigen::MatrixXd& traffic, std::size_t groups,
                                                  std::size_t iterations);

}  // namespace evenkeel
