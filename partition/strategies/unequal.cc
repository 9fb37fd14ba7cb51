#include "partition/strategies/unequal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "partition/cost/copy_cost.h"
#include "partition/cost/unequal_bound.h"
#include "partition/cost/verify.h"
#include "partition/foundation/parallel.h"
#include "partition/model/migration.h"
#include "partition/slots/first_slots.h"
#include "partition/slots/replan_loads.h"
#include "partition/slots/replan_traffic.h"
#include "partition/slots/replica_search.h"
#include "partition/slots/rows.h"
#include "partition/slots/spread_nodes.h"
#include "partition/strategies/replan.h"

namespace evenkeel {
namespace {

/// Shares of the time that the search of loads gets where communication comes after it.
constexpr double kLoadShareBeforeTraffic = 0.3;

std::vector<std::uint32_t> slots_of(const Cluster& cluster, std::size_t slots) {
  if (!cluster.slots.empty()) return cluster.slots;
  return std::vector<std::uint32_t>(cluster.gpus, static_cast<std::uint32_t>(slots / cluster.gpus));
}

Status check(const PlaceOptions& options, std::size_t experts, const std::vector<std::uint32_t>& slots) {
  if (options.problem.objective.weighted)
    return invalid_input("the weighted objective is for equal GPUs; ask for the lexicographic one");
  if (options.problem.split == ReplicaSplit::kUneven)
    return invalid_input("an uneven split is for equal GPUs and loads in tokens; ask for the even one");
  for (std::size_t gpu = 0; gpu < slots.size(); ++gpu) {
    if (slots[gpu] <= experts) continue;
    return infeasible(fmt::format("GPU {} has {} slots for {} experts and would hold one twice; give at most {}", gpu,
                                  slots[gpu], experts, experts));
  }
  const auto used = static_cast<std::size_t>(std::ranges::count_if(slots, [](std::uint32_t n) { return n > 0; }));
  if (used <= options.problem.survive)
    return infeasible(fmt::format("{} GPU has slots, and none can be lost; give slots on two at least", used));
  return {};
}

class UnequalPlacing {
 public:
  UnequalPlacing(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                 std::vector<std::uint32_t> slots, Budget& budget, const StageObserver& observer)
      : profile_(profile), cluster_(cluster), options_(options), budget_(budget), observer_(observer) {
    cluster_.slots = std::move(slots);
    for (std::size_t gpu = 0; gpu < cluster.gpus; ++gpu) speeds_.push_back(cluster.speed(GpuId(gpu)));
    set_layers();
    set_bounds();
  }

  Result<Solution> solve() {
    const bool has_paths = !profile_.paths.empty();
    begin("loads", rows_of_start());
    Placement balanced = keeps_running() ? replan_for_loads(has_paths) : balance(has_paths);
    if (options_.problem.survive > 0 && cluster_.nodes > 1)
      balanced = with_rows(balanced, spread_over_nodes(layers_from(balanced), cluster_.nodes));
    end(balanced);
    Placement placement = balanced;
    if (has_paths && options_.problem.survive == 0 && !budget_.exhausted()) {
      begin("communication", balanced);
      EVENKEEL_TRY(searched, search_traffic(balanced));
      placement = std::move(searched);
      end(placement);
    }
    if (options_.problem.replan) {
      EVENKEEL_TRY(kept, keep_slots(options_.problem.replan->running, placement));
      placement = std::move(kept);
    }
    return certified(balanced, std::move(placement));
  }

 private:
  /// Second copies of all experts are not to be had by few moves.
  [[nodiscard]] bool keeps_running() const { return options_.problem.replan && options_.problem.survive == 0; }

  void set_layers() {
    const std::size_t experts = profile_.shape.experts;
    const auto used =
        static_cast<std::size_t>(std::ranges::count_if(cluster_.slots, [](std::uint32_t slots) { return slots > 0; }));
    const std::size_t redundant = cluster_.slots_in_all() - experts;
    const std::size_t copies_max = std::min(used, redundant + 1);
    auto costs = copy_costs(profile_, copies_max, options_.problem.time_model);
    for (std::size_t row = 0; row < costs.size(); ++row) {
      ReplanLayer& layer = layers_.emplace_back();
      layer.gpus = cluster_.gpus;
      for (std::size_t gpu = 0; gpu < cluster_.gpus; ++gpu)
        layer.gpu_of_slot.insert(layer.gpu_of_slot.end(), cluster_.slots[gpu], static_cast<GpuIndex>(gpu));
      for (const double speed : speeds_) layer.slowness.push_back(1.0 / speed);
      layer.copy_units = std::move(costs[row]);
      for (std::size_t expert = 0; expert < experts; ++expert) layer.load_units.push_back(layer.copy_units(expert, 0));
      if (options_.problem.replan) {
        layer.held = held_in(options_.problem.replan->running, LayerId(row));
      }
      if (keeps_running()) {
        layer.running = fill_slots(layer, options_.problem.replan->running, LayerId(row));
        moves_forced_ += ReplanSlots(layer, layer.running).moves();
      } else {
        layer.running = pack_slots(layer, options_.problem.survive + 1, copy_max(layer));
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
    const bool with_dual = options_.effort.work_units || options_.effort.time >= kTimeWithDual;
    bounds_.resize(layers_.size());
    for_each_item(layers_.size(), options_.effort.threads, [&](std::size_t row) {
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

  [[nodiscard]] Placement balance(bool is_before_traffic) {
    const ReplicaSearch search{.copies_min = options_.problem.survive + 1,
                               .nodes = 1,
                               .seed = options_.effort.seed,
                               .threads = options_.effort.threads};
    BudgetSlice slice(budget_, is_before_traffic ? kLoadShareBeforeTraffic : 1.0);
    return with_rows_of(balance_replicas(layers_, bound_units(), search, slice));
  }

  [[nodiscard]] Placement replan_for_loads(bool is_before_traffic) {
    BudgetSlice slice(budget_, is_before_traffic ? kLoadShareBeforeTraffic : 1.0);
    const auto found =
        replan_loads(layers_, bound_units(), {}, moves_max(), slice, options_.effort.seed, options_.effort.threads);
    Grid<ExpertIndex> rows(layers_.size(), layers_.front().running.size());
    for (std::size_t row = 0; row < rows.rows(); ++row)
      std::ranges::copy(found.point(row).expert_of_slot, rows[row].begin());
    return with_rows_of(std::move(rows));
  }

  [[nodiscard]] std::size_t moves_max() const {
    const std::size_t all = layers_.size() * cluster_.slots_in_all();
    if (!options_.problem.replan || !options_.problem.replan->moves_max) return all;
    return std::min(all, moves_forced_ + *options_.problem.replan->moves_max);
  }

  Result<Placement> search_traffic(const Placement& start) {
    EVENKEEL_TRY(instance, make_instance(profile_, cluster_, copies_of(start), options_.problem.objective,
                                         options_.effort.threads));
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
      const auto best = static_cast<double>(ReplanSlots(layer, layer.running).largest_load());
      caps.threshold_units.push_back(
          static_cast<std::int64_t>(std::floor(best * (1.0 + options_.problem.load_slack_ratio))));
    }
    const Placement& running = options_.problem.replan ? options_.problem.replan->running : start;
    return to_placement(instance, replan_traffic(instance, to_assignment(instance, start), running, caps, moves_max(),
                                                 budget_, options_.effort.seed));
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

  Result<Solution> certified(const Placement& balanced, Placement placement) {
    Solution solution{std::move(placement)};
    Certificate& certificate = solution.certificate;
    certificate.z_star = peaks(balanced);
    const auto reached = peaks(solution.placement);
    for (std::size_t row = 0; row < reached.size(); ++row) {
      certificate.z_star[row] = std::min(certificate.z_star[row], reached[row]);
      certificate.load_bound.push_back(reached[row] > 0 ? bounds_[row] / layers_[row].mean_units() : 0.0);
    }
    certificate.value = value(solution.placement);
    if (profile_.paths.empty()) set_bound(mean_of_loaded(certificate.load_bound), certificate);
    if (options_.problem.time_model) certificate.step_time_bound = step_time_bound();
    solution.stages = std::move(stages_);
    const double slack_ratio = profile_.paths.empty() ? 0.0 : options_.problem.load_slack_ratio;
    const std::size_t redundant = cluster_.slots_in_all() - profile_.shape.experts;
    const auto caps = options_.problem.survive > 0 && cluster_.nodes > 1 ? std::vector<double>() : certificate.z_star;
    EVENKEEL_TRY_STATUS(
        verify(solution.placement, profile_, cluster_, redundant, caps, slack_ratio, options_.problem.time_model));
    if (options_.problem.survive > 0) EVENKEEL_TRY_STATUS(verify_survival(solution.placement));
    if (certificate.gap && *certificate.gap < 1e-12) solution.status = SolveStatus::kOptimal;
    if (!options_.problem.replan) return solution;
    EVENKEEL_TRY(moves, count_moves(options_.problem.replan->running, solution.placement));
    if (moves > moves_max())
      return failure(fmt::format("verifier: {} slots move; the budget is {}", moves, moves_max()));
    solution.replan.emplace().moves_forced = moves_forced_;
    return solution;
  }

  [[nodiscard]] std::chrono::duration<double> step_time_bound() const {
    std::chrono::duration<double> sum{0};
    for (std::size_t row = 0; row < bounds_.size(); ++row) {
      sum += std::chrono::duration<double>(bounds_[row] / kCostUnitsPerSecond *
                                           static_cast<double>(rounds_of(profile_, row)));
      if (bounds_[row] > 0) sum += options_.problem.time_model->other_per_layer;
    }
    return sum;
  }

  [[nodiscard]] double value(const Placement& placement) const {
    if (profile_.paths.empty()) return mean_of_loaded(peaks(placement));
    return value_of(profile_, cluster_, options_.problem.objective, placement).value;
  }

  void begin(const char* name, const Placement& before) {
    if (observer_) observer_(name);
    stages_.push_back({name, 0, value(before), 0, std::nullopt});
    begun_ = budget_.elapsed();
  }
  void end(const Placement& after) {
    stages_.back().seconds = (budget_.elapsed() - begun_).count();
    stages_.back().value_after = value(after);
  }

  const RoutingProfile& profile_;
  Cluster cluster_;
  const PlaceOptions& options_;
  Budget& budget_;
  const StageObserver& observer_;
  std::vector<double> speeds_;
  std::vector<ReplanLayer> layers_;
  /// Lower bound of the largest cost over speed [layers].
  std::vector<double> bounds_;
  /// Moves that leave every expert a slot.
  std::size_t moves_forced_ = 0;
  std::vector<StageReport> stages_;
  std::chrono::duration<double> begun_{0};
};

}  // namespace

bool is_unequal(const Cluster& cluster, const PlaceOptions& options, std::size_t experts) {
  if (!cluster.is_uniform() || options.problem.time_model) return true;
  if (!options.problem.replan) return false;
  const auto slots = slots_of(cluster, experts + options.problem.redundant);
  return !cluster.slots.empty() && options.problem.replan->running.fields().slots_of_gpu != slots;
}

Result<Solution> place_unequally(const RoutingProfile& profile, const Cluster& cluster, const PlaceOptions& options,
                                 Budget& budget, const StageObserver& observer) {
  const std::size_t experts = profile.shape.experts;
  if (cluster.slots.empty()) EVENKEEL_TRY_STATUS(equal_slots_per_gpu(experts, options.problem.redundant, cluster.gpus));
  auto slots = slots_of(cluster, experts + options.problem.redundant);
  EVENKEEL_TRY_STATUS(check(options, experts, slots));
  return UnequalPlacing(profile, cluster, options, std::move(slots), budget, observer).solve();
}

}  // namespace evenkeel
