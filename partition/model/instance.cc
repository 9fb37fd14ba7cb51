#include "partition/model/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "partition/foundation/check.h"
#include "partition/foundation/parallel.h"

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
  std::vector<double> target_share(instance.items());
  for (std::size_t j = 0; j < instance.items(); ++j) target_share[j] = 1.0 / copies(to, instance.expert_of_item(to, j));
  for (std::size_t i = 0; i < instance.items(); ++i) {
    const ExpertIndex source = instance.expert_of_item(from, i);
    const double scale = 1.0 / (table.total_tokens * copies(from, source));
    for (std::size_t j = 0; j < instance.items(); ++j) {
      const double tokens = table.tokens(source, instance.expert_of_item(to, j));
      const auto share = static_cast<float>(tokens * scale * target_share[j]);
      forward.traffic(i, j) += share;
      if (from != to || i != j) backward.traffic(j, i) += share;
    }
  }
}

/// Tables of traffic between items beyond this are refused: no published model comes near (256 experts and 94 layers
/// take 50 MB).
constexpr double kTrafficBytesMax = 4e9;

/// Resident: both ways of each pair of rounds. Dispatch: what a search keeps of the pairs of a layer's items.
Status check_traffic_size(const RoutingProfile& profile, std::size_t items, Comm comm) {
  if (profile.paths.empty()) return {};
  const double tables = comm == Comm::kDispatch ? 2 : static_cast<double>(2 * (profile.paths.rounds() - 1));
  const double bytes = tables * static_cast<double>(items) * static_cast<double>(items) * sizeof(float);
  if (bytes <= kTrafficBytesMax) return {};
  return invalid_input(fmt::format(
      "{} slots in each of {} rounds would need {:.0f} GB for traffic between experts; check the largest expert id, "
      "and ask for fewer redundant slots",
      items, profile.paths.rounds(), bytes / 1e9));
}

/// Item of each copy of each expert of a layer: first_item [experts].
std::vector<std::size_t> first_items(const Grid<std::uint16_t>& copies, std::size_t layer) {
  std::vector<std::size_t> first(copies.cols());
  std::exclusive_scan(copies[layer].begin(), copies[layer].end(), first.begin(), std::size_t{0});
  return first;
}

/// Rows of the items that tokens chose in one layer, each ascending and filled up with kNoItem. Token t takes copy t
/// modulo copies of an expert.
std::vector<ExpertIndex> chosen_items(const TokenPaths& paths, const Grid<std::uint16_t>& copies, std::size_t layer,
                                      std::size_t round) {
  const auto first = first_items(copies, layer);
  std::vector<ExpertIndex> rows;
  rows.reserve(paths.tokens() * paths.top_k);
  for (std::size_t token = 0; token < paths.tokens(); ++token) {
    for (const ExpertIndex expert : paths.chosen(token, round)) {
      rows.push_back(expert == kNoExpert ? kNoItem
                                         : static_cast<ExpertIndex>(first[expert] + token % copies(layer, expert)));
    }
    const auto row = rows.end() - static_cast<std::ptrdiff_t>(paths.top_k);
    std::sort(row, rows.end());
    if (row == rows.end() || *row == kNoItem) rows.erase(row, rows.end());
  }
  return rows;
}

TokenSets layer_sets(const TokenPaths& paths, const Grid<std::uint16_t>& copies, std::size_t layer) {
  TokenSets sets;
  sets.width = paths.top_k;
  std::vector<ExpertIndex> rows;
  for (std::size_t round = 0; round < paths.rounds(); ++round) {
    if (paths.layer_of_round[round] != layer) continue;
    ++sets.rounds;
    const auto more = chosen_items(paths, copies, layer, round);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  sets.total_tokens = rows.size() / std::max<std::size_t>(1, sets.width);
  const auto row = [&](std::uint32_t index) { return std::span(rows).subspan(index * sets.width, sets.width); };
  std::vector<std::uint32_t> order(sets.total_tokens);
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(
      order, [&](std::uint32_t a, std::uint32_t b) { return std::ranges::lexicographical_compare(row(a), row(b)); });
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || !std::ranges::equal(row(order[i]), row(order[i - 1]))) {
      sets.items.insert(sets.items.end(), row(order[i]).begin(), row(order[i]).end());
      sets.tokens.push_back(0);
    }
    ++sets.tokens.back();
  }
  return sets;
}

std::vector<TokenSets> token_sets(const TokenPaths& paths, const Grid<std::uint16_t>& copies, std::size_t threads) {
  std::vector<TokenSets> result(copies.rows());
  for_each_item(copies.rows(), threads, [&](std::size_t layer) { result[layer] = layer_sets(paths, copies, layer); });
  return result;
}

/// Traffic between two layers' items that stays on a GPU, and on a node.
struct Kept {
  double on_gpu = 0;
  double on_node = 0;
};

Kept kept_between(const Instance& instance, const Assignment& assignment, std::size_t layer, const Neighbour& other) {
  Kept kept;
  const auto there = assignment[other.layer];
  std::vector<GpuIndex> node_there(there.size());
  std::ranges::transform(there, node_there.begin(),
                         [&](GpuIndex gpu) { return static_cast<GpuIndex>(instance.node_of(gpu)); });
  for (std::size_t i = 0; i < instance.items(); ++i) {
    const GpuIndex gpu = assignment(layer, i);
    const auto node = static_cast<GpuIndex>(instance.node_of(gpu));
    const auto traffic = other.traffic[i];
    // A layer's own traffic is stored in both directions.
    for (std::size_t j = other.layer == layer ? i : 0; j < traffic.size(); ++j) {
      const auto share = static_cast<double>(traffic[j]);
      kept.on_gpu += there[j] == gpu ? share : 0.0;
      kept.on_node += node_there[j] == node ? share : 0.0;
    }
  }
  return kept;
}

double resident_communication(const Instance& instance, const Assignment& assignment) {
  double kept = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (const Neighbour& other : instance.neighbours[layer]) {
      // Two layers hold their traffic once each; count each pair of layers once.
      if (other.layer < layer) continue;
      const auto [on_gpu, on_node] = kept_between(instance, assignment, layer, other);
      kept += instance.gpu_gain * on_gpu + instance.node_gain * on_node;
    }
  }
  return static_cast<double>(instance.round_pairs) * (instance.gpu_gain + instance.node_gain) - kept;
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

Grid<std::uint16_t> greedy_copies(const Grid<std::uint64_t>& load_tokens, std::size_t redundant, std::size_t gpus,
                                  std::size_t copies_min) {
  Grid<std::uint16_t> copies(load_tokens.rows(), load_tokens.cols(), static_cast<std::uint16_t>(copies_min));
  for (std::size_t layer = 0; layer < copies.rows(); ++layer) {
    for (std::size_t spare = copies.cols() * (copies_min - 1); spare < redundant; ++spare) {
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
                               const Objective& objective, std::size_t threads, std::size_t copies_min) {
  EVENKEEL_TRY(slots_per_gpu, equal_slots_per_gpu(profile.shape.experts, redundant, cluster.gpus));
  EVENKEEL_CHECK(slots_per_gpu <= profile.shape.experts, "place() refuses more slots a GPU than experts");
  const auto copies = greedy_copies(profile.total_load(), redundant, cluster.gpus, copies_min);
  return make_instance(profile, cluster, copies, objective, threads);
}

Result<Instance> make_instance(const RoutingProfile& profile, const Cluster& cluster, const Grid<std::uint16_t>& copies,
                               const Objective& objective, std::size_t threads) {
  const std::size_t experts = profile.shape.experts;
  const std::size_t items = std::accumulate(copies[0].begin(), copies[0].end(), std::size_t{0});
  const Grid<std::uint64_t> load = profile.total_load();
  Instance instance;
  instance.gpus = cluster.gpus;
  instance.slots_of_gpu =
      cluster.slots.empty() ? std::vector<std::uint32_t>(cluster.gpus, static_cast<std::uint32_t>(items / cluster.gpus))
                            : cluster.slots;
  instance.nodes = cluster.nodes;
  instance.experts = experts;
  instance.layer_ids = profile.shape.layer_ids;
  instance.expert_of_item = Grid<ExpertIndex>(load.rows(), items);
  instance.load_units = Grid<std::int64_t>(load.rows(), items);
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
  EVENKEEL_TRY_STATUS(check_traffic_size(profile, items, objective.comm));
  const CommWeights weights = objective.comm_weights(cluster);
  instance.gpu_gain = weights.other_gpu;
  if (objective.comm == Comm::kDispatch) {
    instance.node_gain = cluster.nodes == 1 ? 0.0 : weights.other_node;
    if (!profile.paths.empty()) instance.token_sets = token_sets(profile.paths, copies, threads);
    return instance;
  }
  instance.node_gain = cluster.nodes == 1 ? 0.0 : weights.other_node - weights.other_gpu;
  for (const TransitionTable& table : transitions(profile, threads)) {
    if (table.total_tokens == 0) continue;
    add_transitions(table, copies, instance);
    ++instance.round_pairs;
  }
  return instance;
}

void fit_windows(const RoutingProfile& profile, const Robust& robust, Instance& instance) {
  instance.robust = robust;
  instance.window_load.clear();
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    const auto experts = instance.expert_of_item[layer];
    std::vector<double> copies(instance.experts, 0);
    for (const ExpertIndex expert : experts) ++copies[expert];
    std::vector<std::span<const std::uint64_t>> loads;
    std::vector<double> gpu_means;
    for (const StageLoad& window : profile.windows) {
      const auto load = window.load_tokens[layer];
      const auto total = std::accumulate(load.begin(), load.end(), std::uint64_t{0});
      if (total == 0) continue;
      loads.push_back(load);
      gpu_means.push_back(static_cast<double>(total) / static_cast<double>(instance.gpus));
    }
    Grid<float>& ratios = instance.window_load.emplace_back(instance.items(), loads.size());
    for (std::size_t item = 0; item < experts.size(); ++item) {
      for (std::size_t window = 0; window < loads.size(); ++window) {
        const double tokens = static_cast<double>(loads[window][experts[item]]) / copies[experts[item]];
        ratios(item, window) = static_cast<float>(tokens / gpu_means[window]);
      }
    }
  }
}

const Grid<float>* Instance::traffic(std::size_t layer, std::size_t other) const {
  const auto found = std::ranges::find(neighbours[layer], other, &Neighbour::layer);
  return found == neighbours[layer].end() ? nullptr : &found->traffic;
}

bool Instance::is_chain() const {
  for (std::size_t layer = 0; layer < neighbours.size(); ++layer) {
    for (const Neighbour& other : neighbours[layer]) {
      if (other.layer > layer + 1) return false;
    }
  }
  return true;
}

Placement to_placement(const Instance& instance, const Assignment& assignment) {
  Grid<ExpertIndex> map(instance.layers(), instance.items());
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    std::vector<std::size_t> next(instance.gpus);
    std::exclusive_scan(instance.slots_of_gpu.begin(), instance.slots_of_gpu.end(), next.begin(), std::size_t{0});
    for (std::size_t item = 0; item < instance.items(); ++item) {
      map(layer, next[assignment(layer, item)]++) = instance.expert_of_item(layer, item);
    }
  }
  auto placement = Placement::create({.layer_ids = instance.layer_ids,
                                      .experts = instance.experts,
                                      .nodes = instance.nodes,
                                      .slots_of_gpu = instance.slots_of_gpu,
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

TouchingTokens touching_tokens(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item) {
  const TokenSets& sets = instance.token_sets[layer];
  TouchingTokens tokens{std::vector<std::int64_t>(instance.gpus, 0),
                        std::vector<std::int64_t>(instance.nodes > 1 ? instance.nodes : 0, 0)};
  // The set, counted from 1, that touched a part last.
  std::vector<std::size_t> last_at_gpu(instance.gpus, 0), last_at_node(instance.nodes, 0);
  for (std::size_t set = 0; set < sets.size(); ++set) {
    for (const ExpertIndex item : sets.set(set)) {
      if (item == kNoItem) break;
      const std::size_t gpu = gpu_of_item[item];
      if (std::exchange(last_at_gpu[gpu], set + 1) == set + 1) continue;
      tokens.gpus[gpu] += sets.tokens[set];
      const std::size_t node = instance.node_of(gpu);
      if (instance.nodes == 1 || std::exchange(last_at_node[node], set + 1) == set + 1) continue;
      tokens.nodes[node] += sets.tokens[set];
    }
  }
  return tokens;
}

double layer_dispatch(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item) {
  const TokenSets& sets = instance.token_sets[layer];
  if (sets.total_tokens == 0) return 0.0;
  const TouchingTokens tokens = touching_tokens(instance, layer, gpu_of_item);
  const auto sum = [](const std::vector<std::int64_t>& of) {
    return static_cast<double>(std::accumulate(of.begin(), of.end(), std::int64_t{0}));
  };
  const double touched = instance.gpu_gain * sum(tokens.gpus) + instance.node_gain * sum(tokens.nodes);
  return touched * static_cast<double>(sets.rounds) / static_cast<double>(sets.total_tokens);
}

double communication(const Instance& instance, const Assignment& assignment) {
  if (!instance.is_dispatch()) return resident_communication(instance, assignment);
  double cost = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer)
    cost += layer_dispatch(instance, layer, assignment[layer]);
  return cost;
}

}  // namespace evenkeel
