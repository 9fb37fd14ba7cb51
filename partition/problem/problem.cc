#include "partition/problem/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "partition/problem/certificate.h"

namespace evenkeel {
namespace {

bool is_loaded(const Grid<std::uint64_t>& load, std::size_t layer) {
  return std::ranges::any_of(load[layer], [](std::uint64_t tokens) { return tokens > 0; });
}

/// A cluster's slots are the only measure of redundancy that it has.
Status check_slots(const RoutingProfile& profile, const Cluster& cluster, const ProblemOptions& options) {
  const std::size_t experts = profile.shape.experts;
  const std::size_t slots = cluster.slots_in_all();
  const std::size_t wanted = experts * (options.survive + 1);
  if (slots < wanted) {
    return infeasible(
        fmt::format("{} slots on {} GPUs are too few for {} experts{}; {} more would do: 'slots' of the cluster file, "
                    "on any GPUs, or more "
                    "redundant ones from the start",
                    slots, cluster.gpus - static_cast<std::size_t>(std::ranges::count(cluster.slots, 0U)), experts,
                    options.survive > 0 ? " twice" : "", wanted - slots));
  }
  if (options.redundant == slots - experts) return {};
  return invalid_input(
      fmt::format("{} redundant slots are asked for, but the cluster's {} slots leave {} for {} experts; "
                  "give one of the two",
                  options.redundant, slots, slots - experts, experts));
}

Status check_survival(const ProblemOptions& options, std::size_t experts, const Cluster& cluster) {
  if (options.survive == 0) return {};
  if (options.survive > 1) return invalid_input(fmt::format("survive is {}; give 0 or 1", options.survive));
  if (options.replan && options.replan->moves_max)
    return invalid_input("a budget of moves may not pay for a second copy of every expert; leave one of the two out");
  if (cluster.gpus == 1) return infeasible("1 GPU cannot be lost; give at least 2 GPUs");
  if (options.redundant >= experts) return {};
  const std::size_t smallest = (2 * experts + cluster.gpus - 1) / cluster.gpus * cluster.gpus - experts;
  return infeasible(fmt::format("{} redundant slots are too few for a second copy of each of {} experts; {} would do",
                                options.redundant, experts, smallest));
}

Status check_running(const Placement& running, const RoutingProfile& profile, const Cluster& cluster,
                     std::size_t redundant) {
  if (!std::ranges::equal(running.layer_ids(), profile.shape.layer_ids) || running.experts() != profile.shape.experts) {
    return invalid_input(
        fmt::format("the running placement has {} layers of {} experts but the traffic {} of {}; give a placement of "
                    "this model's layers",
                    running.layers(), running.experts(), profile.shape.layers(), profile.shape.experts));
  }
  if (running.gpus() != cluster.gpus || running.nodes() != cluster.nodes) {
    return invalid_input(
        fmt::format("the running placement is for {} GPUs on {} nodes but the cluster has {} on {}; give the cluster "
                    "it runs on",
                    running.gpus(), running.nodes(), cluster.gpus, cluster.nodes));
  }
  if (!cluster.slots.empty()) return {};
  if (!running.has_equal_slots()) {
    return invalid_input("the running placement has more slots on some GPUs than on others; give one with equal slots");
  }
  if (running.redundant() != redundant) {
    return invalid_input(fmt::format("the running placement has {} redundant slots but {} are asked for; give {}",
                                     running.redundant(), redundant, running.redundant()));
  }
  return {};
}

Status check_options(const ProblemOptions& options, const RoutingProfile& profile, const Cluster& cluster) {
  if (!(options.load_slack_ratio >= 0 && options.load_slack_ratio <= 1)) {
    return invalid_input(fmt::format("slack is {}; give 0 to 1 (0.02 is 2 %)", options.load_slack_ratio));
  }
  if (options.objective.weighted && options.objective.comm == Comm::kDispatch && !profile.paths.empty()) {
    return invalid_input("the weighted objective is a sum over resident communication; ask for resident communication");
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
  if (!cluster.slots.empty()) EVENKEEL_TRY_STATUS(check_slots(profile, cluster, options));
  EVENKEEL_TRY_STATUS(check_survival(options, profile.shape.experts, cluster));
  if (!options.replan) return {};
  if (options.replan->moves_max && options.objective.weighted) {
    return invalid_input("the weighted objective has no budget of moves; ask for the lexicographic one");
  }
  return check_running(options.replan->running, profile, cluster, options.redundant);
}

Status check_unequal(const ProblemOptions& options, std::size_t experts, const std::vector<std::uint32_t>& slots) {
  if (options.objective.weighted)
    return invalid_input("the weighted objective is for equal GPUs; ask for the lexicographic one");
  if (options.split == ReplicaSplit::kUneven)
    return invalid_input("an uneven split is for equal GPUs and loads in tokens; ask for the even one");
  for (std::size_t gpu = 0; gpu < slots.size(); ++gpu) {
    if (slots[gpu] <= experts) continue;
    return infeasible(fmt::format("GPU {} has {} slots for {} experts and would hold one twice; give at most {}", gpu,
                                  slots[gpu], experts, experts));
  }
  const auto used = static_cast<std::size_t>(std::ranges::count_if(slots, [](std::uint32_t n) { return n > 0; }));
  if (used <= options.survive)
    return infeasible(fmt::format("{} GPU has slots, and none can be lost; give slots on two at least", used));
  return {};
}

}  // namespace

std::size_t loaded_slots(const RoutingProfile& profile, std::size_t slots) {
  const Grid<std::uint64_t> load = profile.total_load();
  std::size_t loaded = 0;
  for (std::size_t layer = 0; layer < load.rows(); ++layer) loaded += is_loaded(load, layer) ? slots : 0;
  return loaded;
}

bool weighs_windows(const ProblemOptions& options, bool is_bounded) {
  return options.robust && !options.objective.weighted && !is_bounded && options.survive == 0 &&
         options.split == ReplicaSplit::kEven;
}

Problem::Problem(const RoutingProfile& profile, Cluster cluster, ProblemOptions options)
    : profile_(&profile), cluster_(std::move(cluster)), options_(std::move(options)) {
  const bool has_other_slots =
      !cluster_.slots.empty() && options_.replan && options_.replan->running.fields().slots_of_gpu != cluster_.slots;
  is_unequal_ = !cluster_.is_uniform() || options_.time_model || has_other_slots;
}

Result<Problem> Problem::create(const RoutingProfile& profile, const Cluster& cluster, ProblemOptions options) {
  EVENKEEL_TRY_STATUS(cluster.validate());
  EVENKEEL_TRY_STATUS(check_options(options, profile, cluster));
  EVENKEEL_TRY_STATUS(check_loads(profile));
  Problem problem(profile, cluster, std::move(options));
  if (!problem.is_unequal_) return problem;
  std::vector<std::uint32_t>& slots = problem.cluster_.slots;
  if (slots.empty()) {
    EVENKEEL_TRY(equal, equal_slots_per_gpu(problem.experts(), problem.options_.redundant, cluster.gpus));
    slots.assign(cluster.gpus, static_cast<std::uint32_t>(equal));
  }
  EVENKEEL_TRY_STATUS(check_unequal(problem.options_, problem.experts(), slots));
  return problem;
}

std::size_t Problem::redundant() const {
  return is_unequal_ ? cluster_.slots_in_all() - experts() : options_.redundant;
}

bool Problem::minimises_step() const {
  return options_.step && options_.objective.comm == Comm::kDispatch && !options_.objective.weighted && has_paths() &&
         !is_unequal_ && !is_bounded() && options_.survive == 0 && options_.split == ReplicaSplit::kEven;
}

bool Problem::weighs_windows() const {
  return !minimises_step() && profile_->windows.size() > 1 && evenkeel::weighs_windows(options_, is_bounded());
}

bool Problem::has_caps() const {
  return !options_.objective.weighted && !minimises_step() && !(options_.survive > 0 && cluster_.nodes > 1);
}

std::int64_t Problem::cap_units(std::int64_t best_units) const {
  const long double cap = static_cast<long double>(best_units) * (1.0L + static_cast<long double>(slack_ratio()));
  return static_cast<std::int64_t>(std::floor(cap));
}

std::vector<std::int64_t> Problem::load_bound_units() const {
  std::vector<std::int64_t> units;
  for (const double tokens : load_bounds(*profile_, cluster_.gpus, options_.redundant))
    units.push_back(static_cast<std::int64_t>(tokens * static_cast<double>(kLoadUnitsPerToken)));
  return units;
}

std::optional<std::size_t> Problem::moves_max() const {
  return options_.replan ? options_.replan->moves_max : std::nullopt;
}

bool Problem::is_bounded() const {
  const auto moves = moves_max();
  return moves && *moves < running()->layers() * running()->slots();
}

Result<Instance> Problem::instance(std::size_t threads) const {
  EVENKEEL_TRY(made, make_instance(*profile_, cluster_, options_.redundant, options_.objective, threads, copies_min()));
  if (weighs_windows()) fit_windows(*profile_, *options_.robust, made);
  return made;
}

Result<Instance> Problem::instance_of(const Grid<std::uint16_t>& copies, std::size_t threads) const {
  return make_instance(*profile_, cluster_, copies, options_.objective, threads);
}

}  // namespace evenkeel
