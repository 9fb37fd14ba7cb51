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

/// Item of each copy of each expert of a layer: first_item [experts].
std::vector<std::size_t> first_items(const Grid<std::uint16_t>& copies, std::size_t layer) {
  std::vector<std::size_t> first(copies.cols());
  std::exclusive_scan(copies[layer].begin(), copies[layer].end(), first.begin(), std::size_t{0});
  return first;
}

/// Sets of one layer from sorted rows of items, equal ones merged.
void merge_sets(std::vector<std::vector<ExpertIndex>>& rows, TokenSets& sets) {
  std::ranges::sort(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i] != rows[i - 1]) {
      sets.items.insert(sets.items.end(), rows[i].begin(), rows[i].end());
      sets.tokens.push_back(0);
    }
    ++sets.tokens.back();
  }
}

/// Token t takes copy t modulo copies of an expert.
std::vector<TokenSets> token_sets(const TokenPaths& paths, const Grid<std::uint16_t>& copies) {
  std::vector<TokenSets> result(copies.rows());
  for (std::size_t layer = 0; layer < copies.rows(); ++layer) {
    TokenSets& sets = result[layer];
    sets.width = paths.top_k;
    const auto first = first_items(copies, layer);
    std::vector<std::vector<ExpertIndex>> rows;
    for (std::size_t round = 0; round < paths.rounds(); ++round) {
      if (paths.layer_of_round[round] != layer) continue;
      ++sets.rounds;
      for (std::size_t token = 0; token < paths.tokens(); ++token) {
        std::vector<ExpertIndex> row(paths.top_k, kNoItem);
        std::ranges::transform(paths.chosen(token, round), row.begin(), [&](ExpertIndex expert) {
          if (expert == kNoExpert) return kNoItem;
          return static_cast<ExpertIndex>(first[expert] + token % copies(layer, expert));
        });
        std::ranges::sort(row);
        if (row.empty() || row.front() == kNoItem) continue;
        rows.push_back(std::move(row));
        ++sets.total_tokens;
      }
    }
    merge_sets(rows, sets);
  }
  return result;
}

double resident_communication(const Instance& instance, const Assignment& assignment) {
  double kept = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (const Neighbour& other : instance.neighbours[layer]) {
      // Two layers hold their traffic once each; count each pair of layers once.
      if (other.layer < layer) continue;
      for (std::size_t i = 0; i < instance.items(); ++i) {
        const std::size_t gpu = assignment(layer, i);
        for (std::size_t j = 0; j < instance.items(); ++j) {
          if (other.layer == layer && j < i) continue;  // a layer's own traffic is stored in both directions
          const std::size_t other_gpu = assignment(other.layer, j);
          const double gain = (gpu == other_gpu ? instance.gpu_gain : 0.0) +
                              (instance.node_of(gpu) == instance.node_of(other_gpu) ? instance.node_gain : 0.0);
          kept += gain * static_cast<double>(other.traffic(i, j));
        }
      }
    }
  }
  return static_cast<double>(instance.round_pairs) * (instance.gpu_gain + instance.node_gain) - kept;
}

/// Distinct GPUs and nodes of a set, weighed.
double touched_cost(const Instance& instance, std::span<const GpuIndex> gpu_of_item,
                    std::span<const ExpertIndex> items, std::vector<GpuIndex>& touched) {
  touched.clear();
  for (const ExpertIndex item : items) {
    if (item != kNoItem) touched.push_back(gpu_of_item[item]);
  }
  std::ranges::sort(touched);
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  std::size_t nodes = 0;
  for (std::size_t i = 0; i < touched.size(); ++i) {
    if (i == 0 || instance.node_of(touched[i]) != instance.node_of(touched[i - 1])) ++nodes;
  }
  return instance.gpu_gain * static_cast<double>(touched.size()) + instance.node_gain * static_cast<double>(nodes);
}

double dispatch_communication(const Instance& instance, const Assignment& assignment) {
  double cost = 0;
  std::vector<GpuIndex> touched;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const TokenSets& sets = instance.token_sets[layer];
    double sum = 0;
    for (std::size_t set = 0; set < sets.size(); ++set) {
      sum += touched_cost(instance, assignment[layer], sets.set(set), touched) * sets.tokens[set];
    }
    if (sets.total_tokens > 0) {
      cost += sum * static_cast<double>(sets.rounds) / static_cast<double>(sets.total_tokens);
    }
  }
  return cost;
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

Result<Instance> make_instance(const RoutingProfile& profile, const Cluster& cluster, std::size_t redundant,
                               const Objective& objective) {
  const std::size_t experts = profile.shape.experts;
  EVENKEEL_TRY(slots_per_gpu, equal_slots_per_gpu(experts, redundant, cluster.gpus));
  EVENKEEL_CHECK(slots_per_gpu <= experts, "place() refuses more slots a GPU than experts");
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
  instance.objective = objective;
  const CommWeights weights = objective.comm_weights(cluster);
  instance.gpu_gain = weights.other_gpu;
  if (objective.comm == Comm::kDispatch) {
    instance.node_gain = cluster.nodes == 1 ? 0.0 : weights.other_node;
    if (!profile.paths.empty()) instance.token_sets = token_sets(profile.paths, copies);
    return instance;
  }
  instance.node_gain = cluster.nodes == 1 ? 0.0 : weights.other_node - weights.other_gpu;
  EVENKEEL_TRY_STATUS(check_traffic_size(profile, experts + redundant));
  for (const TransitionTable& table : transitions(profile)) {
    if (table.total_tokens == 0) continue;
    add_transitions(table, copies, instance);
    ++instance.round_pairs;
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

double communication(const Instance& instance, const Assignment& assignment) {
  return instance.is_dispatch() ? dispatch_communication(instance, assignment)
                                : resident_communication(instance, assignment);
}

}  // namespace evenkeel
