#include "pipeline/report/html_loads.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "partition/cost/metrics.h"

namespace evenkeel {
namespace {

using nlohmann::ordered_json;

std::int64_t thousandths(double value, double mean) { return std::llround(1000 * value / mean); }

}  // namespace

ordered_json gpu_load_json(const RoutingProfile& profile, const Placement& placement, const Cluster& cluster) {
  const Grid<double> load = gpu_load_tokens(profile.total_load(), placement);
  ordered_json rows = ordered_json::array();
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    const double mean = load_peak(load[layer], placement, cluster).mean;
    ordered_json row = ordered_json::array();
    for (std::size_t gpu = 0; gpu < load.cols(); ++gpu) {
      const bool is_shown = mean > 0 && placement.fields().slots_of_gpu[gpu] > 0;
      row.push_back(is_shown ? ordered_json(thousandths(load(layer, gpu) / cluster.speed(GpuId(gpu)), mean))
                             : ordered_json(nullptr));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

ordered_json expert_load_json(const RoutingProfile& profile) {
  const Grid<std::uint64_t> load = profile.total_load();
  ordered_json rows = ordered_json::array();
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    std::vector<std::uint64_t> sorted(load[layer].begin(), load[layer].end());
    std::ranges::sort(sorted, std::greater());
    const double mean = static_cast<double>(std::accumulate(sorted.begin(), sorted.end(), std::uint64_t{0})) /
                        static_cast<double>(sorted.size());
    ordered_json row = ordered_json::array();
    for (const std::uint64_t tokens : sorted) {
      row.push_back(mean > 0 ? thousandths(static_cast<double>(tokens), mean) : 0);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace evenkeel
