#include "partition/adaptive/imbalance.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "partition/cost/metrics.h"

namespace evenkeel {

double imbalance_mean(const Grid<std::uint64_t>& load_tokens, const Placement& placement) {
  const Grid<double> loads = gpu_load_tokens(load_tokens, placement);
  double sum = 0;
  std::size_t loaded_layers = 0;
  for (std::size_t layer = 0; layer < loads.rows(); ++layer) {
    const auto row = loads[layer];
    const double total = std::accumulate(row.begin(), row.end(), 0.0);
    if (total <= 0) continue;
    sum += *std::max_element(row.begin(), row.end()) * static_cast<double>(row.size()) / total;
    ++loaded_layers;
  }
  return loaded_layers == 0 ? 1.0 : sum / static_cast<double>(loaded_layers);
}

}  // namespace evenkeel
