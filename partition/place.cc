#include "partition/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "partition/baseline/eplb.h"
#include "partition/baseline/random.h"
#include "partition/cost/bounds.h"
#include "partition/cost/metrics.h"
#include "partition/cost/path_sums.h"
#include "partition/cost/verify.h"
#include "partition/model/budget.h"
#include "partition/model/check.h"
#include "partition/model/instance.h"
#include "partition/stages.h"

namespace evenkeel {
namespace {

Status validate(const PlaceOptions& options, const RoutingProfile& profile, const Cluster& cluster) {
  if (!(options.load_slack_ratio >= 0 && options.load_slack_ratio <= 1)) {
    return invalid_input(fmt::format("slack is {}; give 0 to 1 (0.02 is 2 %)", options.load_slack_ratio));
  }
  if (!(options.time.count() >= 0 && options.time <= std::chrono::hours(1000))) {
    return invalid_input(fmt::format("time is {} s; give 0 or more, at most 1000 h", options.time.count()));
  }
  if (options.redundant > profile.shape.experts * (cluster.gpus - 1)) {
    return infeasible(fmt::format(
        "{} redundant slots for {} experts on {} GPUs would hold an expert twice on a GPU; at most {} are of use",
        options.redundant, profile.shape.experts, cluster.gpus, profile.shape.experts * (cluster.gpus - 1)));
  }
  if (options.groups == 0 || profile.shape.experts % options.groups != 0) {
    return invalid_input(
        fmt::format("groups is {}; give a number that divides the {} experts", options.groups, profile.shape.experts));
  }
  return {};
}

/// max / mean of each row [layers]; 0 for a layer without load.
std::vector<double> peak_ratios(const Grid<double>& gpu_load) {
  std::vector<double> ratios;
  for (std::size_t layer = 0; layer < gpu_load.rows(); ++layer) {
    const auto row = gpu_load[layer];
    const double mean = std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size());
    ratios.push_back(mean > 0 ? std::ranges::max(row) / mean : 0.0);
  }
  return ratios;
}

double mean_of_loaded(const std::vector<double>& ratios) {
  const auto loaded = std::ranges::count_if(ratios, [](double ratio) { return ratio > 0; });
  return loaded == 0 ? 0.0 : std::accumulate(ratios.begin(), ratios.end(), 0.0) / static_cast<double>(loaded);
}

/// Lower bounds of each layer's max / mean GPU load [layers].
std::vector<double> load_bounds(const RoutingProfile& profile, std::size_t gpus, std::size_t redundant) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::vector<double> bounds;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    const std::vector<std::int64_t> tokens(load[layer].begin(), load[layer].end());
    const auto mean =
        static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0})) / static_cast<double>(gpus);
    // A GPU's load is whole tokens only while nothing is split.
    const double bound =
        redundant == 0 ? std::max(mean, static_cast<double>(load_bound_single_copy(tokens, gpus, load.cols() / gpus)))
                       : load_bound_replicated(tokens, gpus, redundant);
    bounds.push_back(mean > 0 ? bound / mean : 0.0);
  }
  return bounds;
}

Certificate certify(const RoutingProfile& profile, const Cluster& cluster, const Placement& placement) {
  Certificate certificate;
  certificate.load_bound = load_bounds(profile, cluster.gpus, placement.redundant());
  certificate.z_star = peak_ratios(gpu_load_tokens(profile.total_load(), placement));
  if (!profile.paths.empty()) {
    certificate.value = resident_cost(sum_paths(profile.paths, placement), cluster);
    return certificate;
  }
  certificate.value = mean_of_loaded(certificate.z_star);
  certificate.bound = mean_of_loaded(certificate.load_bound);
  if (*certificate.bound > 0) {
    certificate.gap = std::max(0.0, (certificate.value - *certificate.bound) / *certificate.bound);
  }
  return certificate;
}

Result<Placement> baseline_placement(const RoutingProfile& profile, const Cluster& cluster,
                                     const PlaceOptions& options) {
  switch (options.strategy) {
    case Strategy::kContiguous:
      return contiguous_placement(profile.shape.layer_ids, profile.shape.experts, options.redundant, cluster.gpus,
                                  cluster.nodes);
    case Strategy::kRandom:
      return random_placement(profile, cluster, options.redundant, options.seed);
    case Strategy::kEplb:
      return eplb_placement(profile, cluster, options.redundant, options.groups);
    case Strategy::kLpt:
    case Strategy::kMetisGlpk:
    case Strategy::kEvenkeel:
      break;
  }
  EVENKEEL_CHECK(false, "solved by stages, not as a baseline");
}

Result<Solution> place_baseline(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  EVENKEEL_TRY(placement, baseline_placement(profile, cluster, options));
  Solution solution{std::move(placement)};
  solution.solve_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  solution.certificate = certify(profile, cluster, solution.placement);
  return solution;
}

Result<Solution> place_in_stages(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                 const StageObserver& observer) {
  Budget budget = options.work_units ? Budget::work(*options.work_units) : Budget::wall(options.time);
  EVENKEEL_TRY(instance, make_instance(profile, cluster, options.redundant));
  Stages stages(instance, options, budget, observer);
  if (options.strategy == Strategy::kLpt) {
    stages.pack();
  } else {
    stages.balance();
    if (instance.has_traffic()) stages.refine_communication();
  }
  Solution solution{to_placement(instance, stages.assignment())};
  solution.solve_seconds = budget.elapsed().count();
  solution.stages = stages.reports();
  solution.certificate = certify(profile, cluster, solution.placement);
  if (stages.balanced()) {
    const auto balanced =
        peak_ratios(gpu_load_tokens(profile.total_load(), to_placement(instance, *stages.balanced())));
    std::ranges::transform(solution.certificate.z_star, balanced, solution.certificate.z_star.begin(),
                           [](double own, double best) { return std::min(own, best); });
  }
  // Loads alone have no communication to trade load for.
  const double slack_ratio = instance.has_traffic() ? options.load_slack_ratio : 0.0;
  EVENKEEL_TRY_STATUS(
      verify(solution.placement, profile, cluster, options.redundant, solution.certificate.z_star, slack_ratio));
  if (solution.certificate.gap && *solution.certificate.gap < 1e-12) solution.status = SolveStatus::kOptimal;
  return solution;
}

}  // namespace

std::string_view strategy_name(Strategy strategy) {
  switch (strategy) {
    case Strategy::kEvenkeel:
      return "evenkeel";
    case Strategy::kMetisGlpk:
      return "metis-glpk";
    case Strategy::kContiguous:
      return "contiguous";
    case Strategy::kRandom:
      return "random";
    case Strategy::kLpt:
      return "lpt";
    case Strategy::kEplb:
      return "eplb";
  }
  EVENKEEL_CHECK(false, "every strategy has a name");
}

const std::vector<Strategy>& all_strategies() {
  static const std::vector<Strategy> all{Strategy::kEvenkeel, Strategy::kMetisGlpk, Strategy::kContiguous,
                                         Strategy::kRandom,   Strategy::kLpt,       Strategy::kEplb};
  return all;
}

Result<Solution> place(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                       const StageObserver& observer) {
  EVENKEEL_TRY_STATUS(cluster.validate());
  EVENKEEL_TRY_STATUS(validate(options, profile, cluster));
  EVENKEEL_TRY_STATUS(check_loads(profile));
  switch (options.strategy) {
    case Strategy::kContiguous:
    case Strategy::kRandom:
    case Strategy::kEplb:
      return place_baseline(profile, cluster, options);
    case Strategy::kLpt:
    case Strategy::kMetisGlpk:
    case Strategy::kEvenkeel:
      return place_in_stages(profile, cluster, options, observer);
  }
  EVENKEEL_CHECK(false, "every strategy is solved one way or the other");
}

}  // namespace evenkeel
