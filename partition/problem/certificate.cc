#include "partition/problem/certificate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "partition/cost/bounds.h"
#include "partition/cost/metrics.h"
#include "partition/cost/path_sums.h"

namespace evenkeel {
namespace {

double sum(const std::vector<double>& ratios) { return std::accumulate(ratios.begin(), ratios.end(), 0.0); }

}  // namespace

double mean_of_loaded(const std::vector<double>& ratios) {
  const auto loaded = std::ranges::count_if(ratios, [](double ratio) { return ratio > 0; });
  return loaded == 0 ? 0.0 : std::accumulate(ratios.begin(), ratios.end(), 0.0) / static_cast<double>(loaded);
}

std::vector<double> load_bounds(const RoutingProfile& profile, std::size_t gpus, std::size_t redundant) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::vector<double> bounds;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) bounds.push_back(load_bound(load[layer], gpus, redundant));
  return bounds;
}

std::vector<double> peak_ratios(const RoutingProfile& profile, const Placement& placement, const Cluster& cluster) {
  const Grid<double> gpu_load = gpu_load_tokens(profile.total_load(), placement);
  std::vector<double> ratios;
  for (std::size_t layer = 0; layer < gpu_load.rows(); ++layer) {
    const auto [max, mean] = load_peak(gpu_load[layer], placement, cluster);
    ratios.push_back(mean > 0 ? max / mean : 0.0);
  }
  return ratios;
}

Certificate value_of(const RoutingProfile& profile, const Cluster& cluster, const Objective& objective,
                     const Placement& placement) {
  Certificate certificate;
  certificate.z_star = peak_ratios(profile, placement, cluster);
  const Grid<std::uint64_t> load = profile.total_load();
  certificate.load_bound = load_bounds(profile, cluster.gpus, placement.redundant());
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    const double total = static_cast<double>(std::accumulate(load[layer].begin(), load[layer].end(), std::uint64_t{0}));
    double& bound = certificate.load_bound[layer];
    bound = total > 0 ? bound * static_cast<double>(cluster.gpus) / total : 0.0;
  }
  if (profile.paths.empty()) {
    certificate.value = objective.weighted ? sum(certificate.z_star) : mean_of_loaded(certificate.z_star);
    return certificate;
  }
  const double cost = communication_cost(sum_paths(profile.paths, placement), cluster, objective);
  certificate.value = cost + (objective.weighted ? sum(certificate.z_star) : 0.0);
  return certificate;
}

void set_bound(double bound, Certificate& certificate) {
  certificate.bound = bound;
  if (bound > 0) certificate.gap = std::max(0.0, (certificate.value - bound) / bound);
}

void set_bound(const Objective& objective, bool has_paths, std::optional<double> communication_bound,
               Certificate& certificate) {
  if (!has_paths) {
    set_bound(objective.weighted ? sum(certificate.load_bound) : mean_of_loaded(certificate.load_bound), certificate);
  } else if (communication_bound) {
    set_bound(*communication_bound + (objective.weighted ? sum(certificate.load_bound) : 0.0), certificate);
  }
}

std::optional<std::size_t> bound_iterations(const Instance& instance, double seconds) {
  // Measured: 8 ms a pair of layers of 256, and 13 ms an iteration and level; both grow with the cube.
  constexpr double kMost = 20;
  const double levels = instance.nodes > 1 && instance.gpus_per_node() > 1 ? 2 : 1;
  const double cube = std::pow(static_cast<double>(instance.items()) / 256.0, 3);
  const double pairs = static_cast<double>(instance.round_pairs);
  const double left = seconds - 8e-3 * cube * pairs;
  if (left < 0) return std::nullopt;
  return static_cast<std::size_t>(std::min(kMost, left / std::max(1e-9, 13e-3 * cube * pairs * levels)));
}

}  // namespace evenkeel
