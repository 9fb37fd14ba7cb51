#include "partition/cost/spectral_bound.h"

#include <Eigen/Core>
#include <algorithm>
#include <functional>
#include <numeric>

#include "partition/cost/multiplier.h"
#include "partition/cost/singular_values.h"
#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

using Matrix = Eigen::MatrixXd;

/// Rounding of sums must not lift the bound above a value that attains it.
constexpr double kRoundingRatio = 1e-12;
/// ADMM is not begun for less than this.
constexpr double kImprovableRatio = 1e-6;

Matrix matrix_of(const Grid<float>& grid) {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return Eigen::Map<const RowMajor>(grid.cells().data(), static_cast<Eigen::Index>(grid.rows()),
                                    static_cast<Eigen::Index>(grid.cols()))
      .cast<double>();
}

/// The `count` largest entries of each column, added up.
double largest_of_columns(Matrix traffic, std::size_t count) {
  double sum = 0;
  for (Eigen::Index column = 0; column < traffic.cols(); ++column) {
    const std::span cells(traffic.col(column).data(), static_cast<std::size_t>(traffic.rows()));
    const auto end = cells.begin() + static_cast<std::ptrdiff_t>(count);
    if (count < cells.size()) std::ranges::nth_element(cells, end, std::greater<>());
    sum = std::accumulate(cells.begin(), end, sum);
  }
  return sum;
}

/// Largest <M, Y> over all Y with rows and columns that sum to S and groups - 1 centred singular values of S.
class SpectralBound {
 public:
  explicit SpectralBound(const Matrix& matrix) : total_(matrix.sum()), items_(matrix.rows()) {
    Matrix centred = matrix;
    centre(centred);
    singular_ = singular_values_from_above(centred);
  }
  [[nodiscard]] double with_groups(std::size_t groups) const {
    const auto count = static_cast<Eigen::Index>(groups);
    const double size = static_cast<double>(items_) / static_cast<double>(groups);
    return size * (total_ / static_cast<double>(items_) + singular_.head(count - 1).sum());
  }

 private:
  double total_;
  Eigen::Index items_;
  Eigen::VectorXd singular_;
};

double multiplier_bound(const Matrix& traffic, std::size_t groups, std::size_t iterations) {
  const Matrix multiplier = improved_multiplier(traffic, groups, iterations);
  return (traffic - multiplier).cwiseMax(0.0).sum() + SpectralBound(multiplier).with_groups(groups);
}

/// `others` tells of an item how many of its S companions count: S between two layers, S - 1 inside one.
template <class Others>
std::vector<double> bounds(const Matrix& traffic, std::span<const std::size_t> group_counts, std::size_t iterations,
                           const Others& others) {
  const SpectralBound spectral(traffic);
  const double total = traffic.sum();
  const Matrix transposed = traffic.transpose();
  std::vector<double> result;
  for (const std::size_t groups : group_counts) {
    const auto items = static_cast<std::size_t>(traffic.rows());
    EVENKEEL_CHECK(groups > 0 && items % groups == 0, "groups of equal size");
    const std::size_t count = others(items / groups);
    const double of_entries = std::min(largest_of_columns(traffic, count), largest_of_columns(transposed, count));
    double least = std::min({total, of_entries, spectral.with_groups(groups)});
    // The mean over all splits keeps total / groups: no bound is below, as where all pairs of items exchange the same.
    const double floor = total / static_cast<double>(groups);
    if (iterations > 0 && groups > 1 && least > floor * (1.0 + kImprovableRatio))
      least = std::min(least, multiplier_bound(traffic, groups, iterations));
    result.push_back(least);
  }
  return result;
}

/// Most that traffic can save when up to so much of it stays on GPUs, and on nodes, whose GPUs' share is part of
/// theirs: a linear program whose corners are these.
double largest_gain(const Instance& instance, double on_gpus, double on_nodes) {
  const double both = std::min(on_gpus, on_nodes);
  return std::max({0.0, instance.node_gain * on_nodes, (instance.gpu_gain + instance.node_gain) * both,
                   instance.gpu_gain * both + instance.node_gain * on_nodes});
}

/// Most that one pair of layers, or a layer with itself, can save.
double largest_gain(const Instance& instance, const Neighbour& other, bool is_own, std::size_t iterations) {
  std::vector<std::size_t> counts{instance.gpus};
  if (instance.nodes < instance.gpus) counts.push_back(instance.nodes);
  const auto kept = is_own ? kept_own_traffic_bounds(other.traffic, counts, iterations)
                           : kept_traffic_bounds(other.traffic, counts, iterations);
  return largest_gain(instance, kept.front(), kept.back());
}

}  // namespace

std::vector<double> kept_traffic_bounds(const Grid<float>& traffic, std::span<const std::size_t> group_counts,
                                        std::size_t iterations) {
  return bounds(matrix_of(traffic), group_counts, iterations, [](std::size_t size) { return size; });
}

std::vector<double> kept_own_traffic_bounds(const Grid<float>& traffic, std::span<const std::size_t> group_counts,
                                            std::size_t iterations) {
  Matrix between = matrix_of(traffic);
  const double own = between.trace();
  between.diagonal().setZero();
  between *= 0.5;
  auto result = bounds(between, group_counts, iterations, [](std::size_t size) { return size - 1; });
  for (double& bound : result) bound += own;
  return result;
}

double communication_bound(const Instance& instance, std::size_t iterations) {
  if (instance.is_dispatch() || !instance.has_traffic()) return 0.0;
  const double all = static_cast<double>(instance.round_pairs) * (instance.gpu_gain + instance.node_gain);
  double gain = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (const Neighbour& other : instance.neighbours[layer]) {
      // Two layers hold their traffic once each.
      if (other.layer >= layer) gain += largest_gain(instance, other, other.layer == layer, iterations);
    }
  }
  return std::max(0.0, all - gain - kRoundingRatio * all);
}

}  // namespace evenkeel
