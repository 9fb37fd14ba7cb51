#include "partition/model/load_distance.h"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>

namespace evenkeel {
namespace {

double total_of(std::span<const std::uint64_t> load) {
  return static_cast<double>(std::accumulate(load.begin(), load.end(), std::uint64_t{0}));
}

}  // namespace

double load_variation(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  const double total_a = total_of(a);
  const double total_b = total_of(b);
  double variation = 0;
  for (std::size_t expert = 0; expert < a.size(); ++expert)
    variation += std::abs(static_cast<double>(a[expert]) / total_a - static_cast<double>(b[expert]) / total_b) / 2;
  return variation;
}

double sampling_noise(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  const double total_a = total_of(a);
  const double total_b = total_of(b);
  const double inverse_sizes = 1 / total_a + 1 / total_b;
  double sum = 0;
  // The difference of two shares is nearly normal, and the mean of |N(0, s^2)| is s sqrt(2 / pi).
  for (std::size_t expert = 0; expert < a.size(); ++expert) {
    const double share = static_cast<double>(a[expert] + b[expert]) / (total_a + total_b);
    sum += std::sqrt(share * (1 - share) * inverse_sizes);
  }
  return 0.5 * std::sqrt(2 / std::numbers::pi) * sum;
}

}  // namespace evenkeel
