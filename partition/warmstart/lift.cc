#include "partition/warmstart/lift.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace evenkeel {

Grid<float> lift(const Grid<float>& traffic) {
  std::vector<double> here(traffic.rows(), 0.0);
  std::vector<double> there(traffic.cols(), 0.0);
  for (std::size_t i = 0; i < traffic.rows(); ++i) {
    for (std::size_t j = 0; j < traffic.cols(); ++j) {
      here[i] += static_cast<double>(traffic(i, j));
      there[j] += static_cast<double>(traffic(i, j));
    }
  }
  const double total = std::accumulate(here.begin(), here.end(), 0.0);
  Grid<float> above(traffic.rows(), traffic.cols());
  if (total <= 0) return above;
  for (std::size_t i = 0; i < traffic.rows(); ++i) {
    for (std::size_t j = 0; j < traffic.cols(); ++j) {
      const double expected = here[i] * there[j] / total;
      above(i, j) = static_cast<float>(std::max(0.0, static_cast<double>(traffic(i, j)) - expected));
    }
  }
  return above;
}

}  // namespace evenkeel
