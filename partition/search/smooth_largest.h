#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// e to the power of more than this is left to nobody's rounding.
inline constexpr double kExponentMax = 500;

/// The largest of figures, smoothly: the log of the sum of their powers of e, over the rate. Kept up to date as two of
/// them change.
class SmoothLargest {
 public:
  SmoothLargest(std::span<const std::int64_t> values, double sharpness) {
    const double sum = static_cast<double>(std::accumulate(values.begin(), values.end(), std::int64_t{0}));
    const double mean = std::max(1.0, sum / static_cast<double>(values.size()));
    const double largest = static_cast<double>(std::ranges::max(values));
    rate_ = std::min(sharpness, kExponentMax * mean / std::max(1.0, 1.3 * largest)) / mean;
    for (const std::int64_t value : values) sum_ += std::exp(rate_ * static_cast<double>(value));
  }

  /// After two values became others.
  [[nodiscard]] double sum_with(std::int64_t a, std::int64_t b, std::int32_t more_a, std::int32_t more_b) const {
    const double old_a = std::exp(rate_ * static_cast<double>(a));
    const double old_b = std::exp(rate_ * static_cast<double>(b));
    return std::max(sum_ + old_a * std::expm1(rate_ * more_a) + old_b * std::expm1(rate_ * more_b), 1.0);
  }
  void set_sum(double sum) { sum_ = sum; }
  [[nodiscard]] double sum() const { return sum_; }
  [[nodiscard]] double of(double sum) const { return std::log(sum) / rate_; }

 private:
  double rate_ = 1;
  double sum_ = 0;
};

/// Expected time of the slowest GPU over the samples, smoothly.
class SmoothCompute {
 public:
  SmoothCompute(const Grid<float>& item_seconds, std::span<const GpuIndex> gpu_of_item, std::size_t gpus,
                double sharpness)
      : samples_(item_seconds.cols()),
        power_(item_seconds.rows(), samples_),
        inverse_(item_seconds.rows(), samples_),
        gpu_power_(gpus, samples_),
        sum_inverse_(samples_) {
    Grid<double> load(gpus, samples_);
    double mean = 0;
    for (std::size_t item = 0; item < item_seconds.rows(); ++item) {
      for (std::size_t sample = 0; sample < samples_; ++sample) {
        load(gpu_of_item[item], sample) += item_seconds(item, sample);
        mean += item_seconds(item, sample);
      }
    }
    mean = std::max(1e-12, mean / static_cast<double>(gpus * samples_));
    const double largest = std::ranges::max(load.cells());
    rate_ = std::min(sharpness, kExponentMax * mean / std::max(mean, 1.3 * largest)) / mean;
    for (std::size_t item = 0; item < item_seconds.rows(); ++item) {
      for (std::size_t sample = 0; sample < samples_; ++sample) {
        power_(item, sample) = std::exp(rate_ * static_cast<double>(item_seconds(item, sample)));
        inverse_(item, sample) = 1 / power_(item, sample);
      }
    }
    value_ = 0;
    for (std::size_t sample = 0; sample < samples_; ++sample) {
      double sum = 0;
      for (std::size_t gpu = 0; gpu < gpus; ++gpu) {
        gpu_power_(gpu, sample) = std::exp(rate_ * load(gpu, sample));
        sum += gpu_power_(gpu, sample);
      }
      sum_inverse_[sample] = 1 / sum;
      value_ += std::log(sum);
    }
    value_ /= rate_ * static_cast<double>(samples_);
  }

  [[nodiscard]] double value() const { return value_; }
  /// By how much the value changes when item i leaves GPU a for b and j comes from there.
  [[nodiscard]] double change(std::size_t i, std::size_t j, std::size_t a, std::size_t b) const {
    const double* const up_i = power_[i].data();
    const double* const up_j = power_[j].data();
    const double* const down_i = inverse_[i].data();
    const double* const down_j = inverse_[j].data();
    const double* const at_a = gpu_power_[a].data();
    const double* const at_b = gpu_power_[b].data();
    double product = 1;
    for (std::size_t sample = 0; sample < samples_; ++sample) {
      const double to_a = up_j[sample] * down_i[sample];
      const double to_b = up_i[sample] * down_j[sample];
      product *= 1 + (at_a[sample] * (to_a - 1) + at_b[sample] * (to_b - 1)) * sum_inverse_[sample];
    }
    return std::log(std::max(product, 1e-300)) / (rate_ * static_cast<double>(samples_));
  }
  void apply(std::size_t i, std::size_t j, std::size_t a, std::size_t b, double change) {
    for (std::size_t sample = 0; sample < samples_; ++sample) {
      const double to_a = power_(j, sample) * inverse_(i, sample);
      const double to_b = power_(i, sample) * inverse_(j, sample);
      const double more = gpu_power_(a, sample) * (to_a - 1) + gpu_power_(b, sample) * (to_b - 1);
      sum_inverse_[sample] = 1 / (1 / sum_inverse_[sample] + more);
      gpu_power_(a, sample) *= to_a;
      gpu_power_(b, sample) *= to_b;
    }
    value_ += change;
  }

 private:
  std::size_t samples_;
  Grid<double> power_, inverse_;
  /// [gpus, samples]
  Grid<double> gpu_power_;
  std::vector<double> sum_inverse_;
  double rate_ = 1;
  double value_ = 0;
};

}  // namespace evenkeel
