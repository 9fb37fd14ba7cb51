#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <span>

namespace evenkeel {

/// Total-variation distance of the load shares of two stretches of traffic in one layer [experts]: 1/2 sum |p - q|, the
/// share of the load that would have to move to another expert. Both need load.
template <class A, class B>
[[nodiscard]] double load_variation(std::span<const A> a, std::span<const B> b) {
  const double total_a = std::accumulate(a.begin(), a.end(), 0.0);
  const double total_b = std::accumulate(b.begin(), b.end(), 0.0);
  double variation = 0;
  for (std::size_t expert = 0; expert < a.size(); ++expert)
    variation += std::abs(static_cast<double>(a[expert]) / total_a - static_cast<double>(b[expert]) / total_b) / 2;
  return variation;
}

/// What load_variation() of two samples of independent choices from the mixture of both is expected to be: a lower
/// bound of the noise of recorded traffic, whose choices come in sequences. Both need load.
template <class A, class B>
[[nodiscard]] double sampling_noise(std::span<const A> a, std::span<const B> b) {
  const double total_a = std::accumulate(a.begin(), a.end(), 0.0);
  const double total_b = std::accumulate(b.begin(), b.end(), 0.0);
  const double inverse_sizes = 1 / total_a + 1 / total_b;
  double sum = 0;
  // The difference of two shares is nearly normal, and the mean of |N(0, s^2)| is s sqrt(2 / pi).
  for (std::size_t expert = 0; expert < a.size(); ++expert) {
    const double share = (static_cast<double>(a[expert]) + static_cast<double>(b[expert])) / (total_a + total_b);
    sum += std::sqrt(share * (1 - share) * inverse_sizes);
  }
  return 0.5 * std::sqrt(2 / std::numbers::pi) * sum;
}

}  // namespace evenkeel
