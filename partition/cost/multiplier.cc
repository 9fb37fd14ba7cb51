#include "partition/cost/multiplier.h"

#include <Eigen/Eigenvalues>
#include <cmath>
#include <limits>

#include "partition/cost/singular_values.h"

namespace evenkeel {
namespace {

using FloatMatrix = Eigen::MatrixXf;
using Vector = Eigen::VectorXf;

/// Over-relaxation of ADMM; 1.5 to 1.8 is usual (Boyd et al. 2011, section 3.4.3). Halves the iterations here.
constexpr float kRelaxation = 1.6F;

class Admm {
 public:
  Admm(const Eigen::MatrixXd& traffic, std::size_t groups)
      : traffic_(traffic.cast<float>()),
        size_(static_cast<float>(traffic.rows()) / static_cast<float>(groups)),
        others_(static_cast<Eigen::Index>(groups) - 1),
        penalty_(penalty(traffic_)),
        spectral_(FloatMatrix::Constant(traffic.rows(), traffic.cols(), 1.0F / static_cast<float>(groups))),
        dual_(traffic_ / penalty_),
        best_(traffic_) {}

  /// One iteration; keeps the multiplier if it is the best yet.
  void step() {
    const FloatMatrix boxed = (spectral_ - dual_ + traffic_ / penalty_).cwiseMax(0.0F).cwiseMin(1.0F);
    dual_ += kRelaxation * boxed + (1.0F - kRelaxation) * spectral_;
    const float excess = project();
    dual_ -= spectral_;
    const float bound = (traffic_ - penalty_ * dual_).cwiseMax(0.0F).sum() +
                        size_ * penalty_ * (dual_.sum() / static_cast<float>(dual_.rows()) + excess);
    if (bound >= best_bound_) return;
    best_bound_ = bound;
    best_ = penalty_ * dual_;
  }

  [[nodiscard]] Eigen::MatrixXd best() const { return best_.cast<double>(); }

 private:
  /// Brings traffic and Y, whose centred norm is S sqrt(groups - 1), to one scale.
  [[nodiscard]] float penalty(FloatMatrix centred) const {
    centre(centred);
    return centred.norm() / (size_ * std::sqrt(static_cast<float>(others_)));
  }

  /// Sets spectral_ to the nearest matrix to dual_ with rows and columns that sum to S and centred singular values of
  /// at most S each and S (groups - 1) together. Returns the groups - 1 largest singular values of what is cut off.
  float project() {
    FloatMatrix centred = dual_;
    centre(centred);
    FloatMatrix gram = FloatMatrix::Zero(centred.rows(), centred.cols());
    gram.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose());
    const Eigen::SelfAdjointEigenSolver<FloatMatrix> solver(gram);
    const Vector singular = solver.eigenvalues().cwiseMax(0.0F).cwiseSqrt();
    const float shift = shift_of(singular);
    const Vector kept = (singular.array() - shift).max(0.0F).min(size_);
    const Eigen::Index rank = (kept.array() > 0.0F).count();
    const auto vectors = solver.eigenvectors().rightCols(rank);
    const Vector ratio = kept.tail(rank).cwiseQuotient(singular.tail(rank));
    spectral_.noalias() = (centred * vectors) * ratio.asDiagonal() * vectors.transpose();
    spectral_.array() += size_ / static_cast<float>(dual_.rows());
    return (singular - kept).tail(others_).sum();
  }

  /// By how much all singular values must fall so that, within [0, S], they add up to no more than S (groups - 1).
  [[nodiscard]] float shift_of(const Vector& singular) const {
    const auto is_enough = [&](float shift) {
      return (singular.array() - shift).max(0.0F).min(size_).sum() <= size_ * static_cast<float>(others_);
    };
    if (is_enough(0.0F)) return 0.0F;
    float low = 0.0F;
    float high = singular.maxCoeff();
    for (int halving = 0; halving < 30; ++halving) {
      const float middle = 0.5F * (low + high);
      (is_enough(middle) ? high : low) = middle;
    }
    return high;
  }

  FloatMatrix traffic_;
  /// S, items of a group.
  float size_;
  /// Groups less one.
  Eigen::Index others_;
  float penalty_;
  /// Z, and the scaled dual variable of Y = Z: the multiplier over the penalty.
  FloatMatrix spectral_;
  FloatMatrix dual_;
  FloatMatrix best_;
  float best_bound_ = std::numeric_limits<float>::infinity();
};

}  // namespace

Eigen::MatrixXd improved_multiplier(const Eigen::MatrixXd& traffic, std::size_t groups, std::size_t iterations) {
  Admm admm(traffic, groups);
  for (std::size_t iteration = 0; iteration < iterations; ++iteration) admm.step();
  return admm.best();
}

}  // namespace evenkeel
