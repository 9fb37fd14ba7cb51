#include "rebalancer/core/load_comparison.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "partition/cost/metrics.h"
#include "partition/model/migration.h"

namespace evenkeel::rebalancer {
namespace {

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

}  // namespace

Result<LoadComparison> compare_loads(const Grid<std::uint64_t>& load_tokens, const Placement& running,
                                     const Placement& planned) {
  EVENKEEL_TRY(moves, migration(running, planned));
  const auto slots = static_cast<double>(planned.layers() * planned.slots());
  return LoadComparison{.imbalance_before = imbalance_mean(load_tokens, running),
                        .imbalance_after = imbalance_mean(load_tokens, planned),
                        .slots_moved = static_cast<std::size_t>(std::llround(moves.churn * slots))};
}

}  // namespace evenkeel::rebalancer
