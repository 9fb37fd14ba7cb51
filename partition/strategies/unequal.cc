#include "partition/strategies/unequal.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "partition/cost/copy_cost.h"
#include "partition/cost/unequal_bound.h"
#include "partition/foundation/parallel.h"
#include "partition/model/migration.h"
#include "partition/problem/certificate.h"
#include "partition/slots/first_slots.h"
#include "partition/slots/replan_loads.h"
#include "partition/slots/replan_traffic.h"
#include "partition/slots/replica_search.h"
#include "partition/slots/rows.h"
#include "partition/slots/spread_nodes.h"

namespace evenkeel {
namespace {

/// Shares of the time that the search of loads gets where communication comes after it.
constexpr double kUnequalLoadShare = 0.3;

class UnequalPlacing {
 public:
  UnequalPlacing(const Problem& problem, Run& run)
      : problem_(problem),
        profile_(problem.profile()),
        cluster_(problem.cluster()),
        options_(problem.options()),
        run_(run) {
    for (std::size_t gpu = 0; gpu < cluster_.gpus; ++gpu) speeds_.push_back(cluster_.speed(GpuId(gpu)));
    set_layers();
    set_bounds();
  }

  Result<Draft> solve() {
    run_.begin_stage("loads", value(rows_of_start()));
    Placement balanced = keeps_running() ? replan_for_loads() : balance();
    if (options_.survive > 0 && cluster_.nodes > 1)
      balanced = with_rows(balanced, spread_over_nodes(layers_from(balanced), cluster_.nodes));
    const double value_of_balanced = run_.end_stage(value(balanced)).value_after;
    Placement placement = balanced;
    if (problem_.has_paths() && options_.survive == 0 && !run_.budget().exhausted()) {
      run_.begin_stage("communication", value_of_balanced);
      EVENKEEL_TRY(searched, search_traffic(balanced));
      placement = std::move(searched);
      run_.end_stage(value(placement));
    }
    if (const Placement* running = problem_.running()) {
      EVENKEEL_TRY(kept, keep_slots(*running, placement));
      placement = std::move(kept);
    }
    Draft draft{placement};
    draft.certificate = measured(balanced, placement);
    draft.has_bound = false;
    draft.is_checked = true;
    draft.moves_forced = moves_forced_;
    return draft;
  }

 private:
  /// Second copies of all experts are not to be had by few moves.
  [[nodiscard]] bool keeps_running() const { return problem_.running() && options_.survive == 0; }

  void set_layers() {
    const std::size_t experts = profile_.shape.experts;
    const auto used =
        static_cast<std::size_t>(std::ranges::count_if(cluster_.slots, [](std::uint32_t slots) { return slots > 0; }));
    const std::size_t redundant = cluster_.slots_in_all() - experts;
    const std::size_t copies_max = std::min(used, redundant + 1);
    auto costs = copy_costs(profile_, copies_max, options_.time_model);
    for (std::size_t row = 0; row < costs.size(); ++row) {
      ReplanLayer& layer = layers_.emplace_back();
      layer.gpus = cluster_.gpus;
      for (std::size_t gpu = 0; gpu < cluster_.gpus; ++gpu)
        layer.gpu_of_slot.insert(layer.gpu_of_slot.end(), cluster_.slots[gpu], static_cast<GpuIndex>(gpu));
      for (const double speed : speeds_) layer.slowness.push_back(1.0 / speed);
      layer.copy_units = std::move(costs[row]);
      for (std::size_t expert = 0; expert < experts; ++expert) layer.load_units.push_back(layer.copy_units(expert, 0));
      if (problem_.running()) layer.held = held_in(*problem_.running(), LayerId(row));
      if (keeps_running()) {
        layer.running = fill_slots(layer, *problem_.running(), LayerId(row));
        moves_forced_ += ReplanSlots(layer, layer.running).moves();
      } else {
        layer.running = pack_slots(layer, problem_.copies_min(), copy_max(layer));
      }
    }
  }

  /// The most that one copy may cost on the fastest GPU beside the cheapest in its other slots, all being even.
  [[nodiscard]] std::int64_t copy_max(const ReplanLayer& layer) const {
    const auto fastest = static_cast<std::size_t>(std::ranges::max_element(speeds_) - speeds_.begin());
    const auto cheapest = std::ranges::min(layer.load_units);
    const auto others = static_cast<double>(std::max(1U, cluster_.slots[fastest])) - 1;
    return static_cast<std::int64_t>(layer.mean_units() * speeds_[fastest] - others * static_cast<double>(cheapest));
  }

  void set_bounds() {
    // It takes a second for 58 layers of 256 experts with 32 replicas.
    constexpr std::chrono::seconds kTimeWithDual(4);
    const bool with_dual = run_.effort().work_units || run_.effort().time >= kTimeWithDual;
    bounds_.resize(layers_.size());
    for_each_item(layers_.size(), run_.threads(), [&](std::size_t row) {
      bounds_[row] = unequal_bound(layers_[row].copy_units, cluster_.slots, speeds_, with_dual);
    });
  }

  [[nodiscard]] std::vector<std::int64_t> bound_units() const {
    std::vector<std::int64_t> units;
    for (const double bound : bounds_) units.push_back(static_cast<std::int64_t>(bound));
    return units;
  }

  [[nodiscard]] Placement with_rows_of(Grid<ExpertIndex> rows) const {
    return *Placement::create({.layer_ids = profile_.shape.layer_ids,
                               .experts = profile_.shape.experts,
                               .nodes = cluster_.nodes,
                               .slots_of_gpu = cluster_.slots,
                               .expert_of_slot = std::move(rows),
                               .shares = std::nullopt});
  }

  [[nodiscard]] Placement rows_of_start() const {
    Grid<ExpertIndex> rows(layers_.size(), layers_.front().running.size());
    for (std::size_t row = 0; row < rows.rows(); ++row) std::ranges::copy(layers_[row].running, rows[row].begin());
    return with_rows_of(std::move(rows));
  }

  /// The layers with another placement to begin with.
  [[nodiscard]] std::vector<ReplanLayer> layers_from(const Placement& placement) const {
    auto layers = layers_;
    for (std::size_t row = 0; row < layers.size(); ++row)
      layers[row].running.assign(placement.row(LayerId(row)).begin(), placement.row(LayerId(row)).end());
    return layers;
  }

  /// Of the time, for loads.
  [[nodiscard]] double load_share() const { return problem_.has_paths() ? kUnequalLoadShare : 1.0; }

  [[nodiscard]] Placement balance() {
    const ReplicaSearch search{
        .copies_min = problem_.copies_min(), .nodes = 1, .seed = run_.seed(), .threads = run_.threads()};
    BudgetSlice slice(run_.budget(), load_share());
    return with_rows_of(balance_replicas(layers_, bound_units(), search, slice));
  }

  [[nodiscard]] Placement replan_for_loads() {
    BudgetSlice slice(run_.budget(), load_share());
    const auto found = replan_loads(layers_, bound_units(), {}, moves_max(), slice, run_.seed(), run_.threads());
    Grid<ExpertIndex> rows(layers_.size(), layers_.front().running.size());
    for (std::size_t row = 0; row < rows.rows(); ++row)
      std::ranges::copy(found.point(row).expert_of_slot, rows[row].begin());
    return with_rows_of(std::move(rows));
  }

  [[nodiscard]] std::size_t moves_max() const {
    const std::size_t all = layers_.size() * cluster_.slots_in_all();
    return problem_.moves_max() ? std::min(all, moves_forced_ + *problem_.moves_max()) : all;
  }

  Result<Placement> search_traffic(const Placement& start) {
    EVENKEEL_TRY(instance, problem_.instance_of(copies_of(start), run_.threads()));
    for (std::size_t row = 0; row < instance.layers(); ++row) {
      std::vector<std::size_t> copies(instance.experts, 0);
      for (const ExpertIndex expert : instance.expert_of_item[row]) ++copies[expert];
      for (std::size_t item = 0; item < instance.items(); ++item) {
        const ExpertIndex expert = instance.expert_of_item(row, item);
        instance.load_units(row, item) = layers_[row].copy_units(expert, copies[expert] - 1);
      }
    }
    for (const double speed : speeds_) instance.slowness.push_back(1.0 / speed);
    LoadGoal caps;
    const auto layers = layers_from(start);
    for (const ReplanLayer& layer : layers) {
      caps.threshold_units.push_back(problem_.cap_units(ReplanSlots(layer, layer.running).largest_load()));
    }
    const Placement& running = problem_.running() ? *problem_.running() : start;
    return to_placement(instance, replan_traffic(instance, to_assignment(instance, start), running, caps, moves_max(),
                                                 run_.budget(), run_.seed()));
  }

  /// Largest cost over speed of each layer, to that of one copy of each expert evenly spread [layers].
  [[nodiscard]] std::vector<double> peaks(const Placement& placement) const {
    std::vector<double> ratios;
    for (const ReplanLayer& layer : layers_from(placement)) {
      const bool is_loaded = std::ranges::any_of(layer.load_units, [](std::int64_t units) { return units > 0; });
      const auto largest = static_cast<double>(ReplanSlots(layer, layer.running).largest_load());
      ratios.push_back(is_loaded ? largest / layer.mean_units() : 0.0);
    }
    return ratios;
  }

  [[nodiscard]] Certificate measured(const Placement& balanced, const Placement& placement) const {
    Certificate certificate;
    certificate.z_star = peaks(balanced);
    const auto reached = peaks(placement);
    for (std::size_t row = 0; row < reached.size(); ++row) {
      certificate.z_star[row] = std::min(certificate.z_star[row], reached[row]);
      certificate.load_bound.push_back(reached[row] > 0 ? bounds_[row] / layers_[row].mean_units() : 0.0);
    }
    certificate.value = value(placement);
    if (options_.time_model) certificate.step_time_bound = step_time_bound();
    return certificate;
  }

  [[nodiscard]] std::chrono::duration<double> step_time_bound() const {
    std::chrono::duration<double> sum{0};
    for (std::size_t row = 0; row < bounds_.size(); ++row) {
      sum += std::chrono::duration<double>(bounds_[row] / kCostUnitsPerSecond *
                                           static_cast<double>(rounds_of(profile_, row)));
      if (bounds_[row] > 0) sum += options_.time_model->other_per_layer;
    }
    return sum;
  }

  [[nodiscard]] double value(const Placement& placement) const {
    if (!problem_.has_paths()) return mean_of_loaded(peaks(placement));
    return value_of(profile_, cluster_, options_.objective, placement).value;
  }

  const Problem& problem_;
  const RoutingProfile& profile_;
  const Cluster& cluster_;
  const ProblemOptions& options_;
  Run& run_;
  std::vector<double> speeds_;
  std::vector<ReplanLayer> layers_;
  /// Lower bound of the largest cost over speed [layers].
  std::vector<double> bounds_;
  /// Moves that leave every expert a slot.
  std::size_t moves_forced_ = 0;
};

}  // namespace

Result<Draft> place_unequally(const Problem& problem, Run& run) {
  run.begin_budget();
  return UnequalPlacing(problem, run).solve();
}

}  // namespace evenkeel
