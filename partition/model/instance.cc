#include "partition/model/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "partition/model/check.h"

namespace evenkeel {
namespace {

Neighbour& neighbour(Instance& instance, std::size_t layer, std::size_t other) {
  auto& list = instance.neighbours[layer];
  const auto found = std::ranges::find_if(list, [&](const Neighbour& candidate) { return candidate.layer == other; });
  if (found != list.end()) return *found;
  list.push_back({other, Grid<float>(instance.items(), instance.items())});
  return list.back();
}

/// Adds one round pair's transitions, split evenly over replicas, to both layers' tables.
void add_transitions(const TransitionTable& table, const Grid<std::uint16_t>& copies, Instance& instance) {
  const std::size_t from = table.from.index();
  const std::size_t to = table.to.index();
  Neighbour& backward = neighbour(instance, to, from);
  Neighbour& forward = neighbour(instance, from, to);
  for (std::size_t i = 0; i < instance.items(); ++i) {
    const ExpertIndex source = instance.expert_of_item(from, i);
    const double scale = 1.0 / (table.total_tokens * copies(from, source));
    for (std::size_t j = 0; j < instance.items(); ++j) {
      const ExpertIndex target = instance.expert_of_item(to, j);
      const auto share = static_cast<float>(table.tokens(source, target) * scale / copies(to, target));
      forward.traffic(i, j) += share;
      if (from != to || i != j) backward.traffic(j, i) += share;
    }
  }
}

/// Tables of traffic between items beyond this are refused: no published model comes near (256 experts and 94 layers
/// take 50 MB).
constexpr double kTrafficBytesMax = 4e9;

Status check_traffic_size(const RoutingProfile& profile, std::size_t items) {
  if (profile.paths.empty()) return {};
  const double pairs = static_cast<double>(profile.paths.rounds() - 1);
  const double bytes = pairs * static_cast<double>(items) * static_cast<double>(items) * 2 * sizeof(float);
  if (bytes <= kTrafficBytesMax) return {};
  return invalid_input(fmt::format(
      "{} slots in each of {} rounds would need {:.0f} GB for traffic between experts; check the largest expert id, "
      "and ask for fewer redundant slots",
      items, profile.paths.rounds(), bytes / 1e9));
}

}  // namespace

Status check_loads(const RoutingProfile& profile) {
  const Grid<std::uint64_t> load = profile.total_load();
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    std::uint64_t sum = 0;
    for (const std::uint64_t tokens : load[layer]) sum += std::min(tokens, kLayerTokensMax + 1);
    if (sum > kLayerTokensMax) {
      return invalid_input(fmt::format("layer {} counts more than {} tokens; scale the counts down",
                                       profile.shape.layer_ids[layer], kLayerTokensMax));
    }
  }
  return {};
}

Grid<std::uint16_t> greedy_copies(const Grid<std::uint64_t>& load_tokens, std::size_t redundant, std::size_t gpus) {
  Grid<std::uint16_t> copies(load_tokens.rows(), load_tokens.cols(), 1);
  for (std::size_t layer = 0; layer < copies.rows(); ++layer) {
    for (std::size_t spare = 0; spare < redundant; ++spare) {
      std::optional<std::size_t> best;
      for (std::size_t expert = 0; expert < copies.cols(); ++expert) {
        if (copies(layer, expert) >= gpus) continue;
        // load / copies compared by cross-multiplication: exact.
        if (!best ||
            load_tokens(layer, expert) * copies(layer, *best) > load_tokens(layer, *best) * copies(layer, expert)) {
          best = expert;
        }
      }
      EVENKEEL_CHECK(best, "make_instance refuses more copies than GPUs x experts");
      ++copies(layer, *best);
    }
  }
  return copies;
}

Result<Instance> make_instance(const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant) {
  const std::size_t experts = profile.shape.experts;
  EVENKEEL_TRY(slots_per_gpu, equal_slots_per_gpu(experts, redundant, cluster.gpus));
  EVENKEEL_CHECK(slots_per_gpu <= experts, "place() refuses more slots a GPU than experts");
  EVENKEEL_TRY_STATUS(check_traffic_size(profile, experts + redundant));
  const Grid<std::uint64_t> load = profile.total_load();
  const Grid<std::uint16_t> copies = greedy_copies(load, redundant, cluster.gpus);
  Instance instance;
  instance.gpus = cluster.gpus;
  instance.nodes = cluster.nodes;
  instance.experts = experts;
  instance.layer_ids = profile.shape.layer_ids;
  instance.expert_of_item = Grid<ExpertIndex>(load.rows(), experts + redundant);
  instance.load_units = Grid<std::int64_t>(load.rows(), experts + redundant);
  instance.neighbours.resize(load.rows());
  for (std::size_t layer = 0; layer < load.rows(); ++layer) {
    std::size_t item = 0;
    for (std::size_t expert = 0; expert < experts; ++expert) {
      for (std::uint16_t copy = 0; copy < copies(layer, expert); ++copy, ++item) {
        instance.expert_of_item(layer, item) = static_cast<ExpertIndex>(expert);
        instance.load_units(layer, item) =
            static_cast<std::int64_t>(load(layer, expert)) * kLoadUnitsPerToken / copies(layer, expert);
      }
    }
  }
  for (const TransitionTable& table : transitions(profile)) {
    if (table.total_tokens == 0) continue;
    add_transitions(table, copies, instance);
    ++instance.round_pairs;
  }
  if (cluster.nodes > 1) {
    instance.gpu_gain = cluster.intra_node_cost_ratio();
    instance.node_gain = 1.0 - instance.gpu_gain;
  }
  return instance;
}

Placement to_placement(const Instance& instance, const Assignment& assignment) {
  Grid<ExpertIndex> map(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    std::vector<std::size_t> next(instance.gpus);
    for (std::size_t gpu = 0; gpu < instance.gpus; ++gpu) next[gpu] = gpu * instance.slots_per_gpu();
    for (std::size_t item = 0; item < instance.items(); ++item) {
      map(layer, next[assignment(layer, item)]++) = instance.expert_of_item(layer, item);
    }
  }
  auto placement = Placement::create(
      {.layer_ids = instance.layer_ids,
       .experts = instance.experts,
       .nodes = instance.nodes,
       .slots_of_gpu = std::vector<std::uint32_t>(instance.gpus, static_cast<std::uint32_t>(instance.slots_per_gpu())),
       .expert_of_slot = std::move(map),
       .shares = std::nullopt});
  EVENKEEL_CHECK(placement, placement.error().message.c_str());
  return *std::move(placement);
}

std::vector<std::int64_t> gpu_load_units(const Instance& instance, const Assignment& assignment, std::size_t layer) {
  std::vector<std::int64_t> load(instance.gpus, 0);
  for (std::size_t item = 0; item < instance.items(); ++item)
    load[assignment(layer, item)] += instance.load_units(layer, item);
  return load;
}

double resident_communication(const Instance& instance, const Assignment& assignment) {
  double kept = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (const Neighbour& other : instance.neighbours[layer]) {
      for (std::size_t i = 0; i < instance.items(); ++i) {
        const std::size_t gpu = assignment(layer, i);
        for (std::size_t j = 0; j < instance.items(); ++j) {
          if (other.layer == layer && j < i) continue;  // a layer's own traffic is stored in both directions
          const std::size_t other_gpu = assignment(other.layer, j);
          const double gain = (gpu == other_gpu ? instance.gpu_gain : 0.0) +
                              (instance.node_of(gpu) == instance.node_of(other_gpu) ? instance.node_gain : 0.0);
          // Two layers hold their traffic once each; count each pair of layers once.
          if (other.layer >= layer) kept += gain * static_cast<double>(other.traffic(i, j));
        }
      }
    }
  }
  return static_cast<double>(instance.round_pairs) - kept;
}

}  // namespace evenkeel
