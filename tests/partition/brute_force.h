#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "partition/model/instance.h"
#include "tests/partition/fixtures.h"

namespace evenkeel::testing {

/// A problem small enough to look at every assignment.
struct SmallCase {
  RoutingProfile profile;
  Cluster cluster;
  Instance instance;
};

struct SmallShape {
  std::size_t layers;
  std::size_t experts;
  std::size_t gpus;
  std::size_t nodes;
  std::size_t redundant = 0;
};

inline SmallCase small_case(const SmallShape& shape, const Objective& objective, std::uint64_t seed) {
  const std::size_t top_k = 1 + seed % 2;
  SmallCase result{structured_profile({shape.layers, shape.experts, top_k, 30 + 10 * (seed % 7)}, seed), {}, {}};
  result.cluster.gpus = shape.gpus;
  result.cluster.nodes = shape.nodes;
  result.instance = *make_instance(result.profile, result.cluster, shape.redundant, objective);
  return result;
}

/// Looks at every assignment with equal slots and the copies of an expert apart. Layers exchange traffic with the next
/// and with themselves only.
class BruteForce {
 public:
  using Row = std::vector<GpuIndex>;
  struct Optimum {
    double cost;
    Assignment assignment;
  };

  explicit BruteForce(const SmallCase& small) : small_(small), instance_(small.instance) {
    for (std::size_t layer = 0; layer < instance_.layers(); ++layer) rows_.push_back(rows_of_layer(layer));
  }

  [[nodiscard]] std::int64_t least_largest_load(std::size_t layer) const {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const Row& row : rows_[layer]) least = std::min(least, largest_load(layer, row));
    return least;
  }

  /// Least communication + peak_weight x sum of max / mean within the caps; none if nothing is.
  [[nodiscard]] std::optional<Optimum> best(std::span<const std::int64_t> caps, double peak_weight) const {
    std::vector<std::vector<double>> own;
    std::vector<Grid<double>> between;
    for (std::size_t layer = 0; layer < instance_.layers(); ++layer) {
      own.push_back(own_costs(layer, caps[layer], peak_weight));
      if (layer > 0) between.push_back(pair_costs(layer - 1));
    }
    Search search{own, between, std::vector<std::size_t>(own.size()), {}, std::numeric_limits<double>::infinity()};
    search.go_on(0, 0.0);
    if (search.best_path.empty()) return std::nullopt;
    Optimum optimum{search.best_cost, Assignment(instance_.layers(), instance_.items())};
    for (std::size_t layer = 0; layer < own.size(); ++layer) {
      std::ranges::copy(rows_[layer][search.best_path[layer]], optimum.assignment[layer].begin());
    }
    return optimum;
  }

 private:
  struct Search {
    const std::vector<std::vector<double>>& own;
    const std::vector<Grid<double>>& between;
    std::vector<std::size_t> path;
    std::vector<std::size_t> best_path;
    double best_cost;

    void go_on(std::size_t layer, double cost) {
      if (cost >= best_cost) return;
      if (layer == own.size()) {
        best_cost = cost;
        best_path = path;
        return;
      }
      for (path[layer] = 0; path[layer] < own[layer].size(); ++path[layer]) {
        const double meeting = layer == 0 ? 0.0 : between[layer - 1](path[layer - 1], path[layer]);
        go_on(layer + 1, cost + own[layer][path[layer]] + meeting);
      }
    }
  };

  [[nodiscard]] std::vector<Row> rows_of_layer(std::size_t layer) const {
    Row row(instance_.items());
    for (std::size_t item = 0; item < row.size(); ++item) {
      row[item] = static_cast<GpuIndex>(item / instance_.slots_per_gpu());
    }
    std::vector<Row> rows;
    do {
      std::set<std::pair<ExpertIndex, GpuIndex>> copies;
      for (std::size_t item = 0; item < row.size(); ++item) {
        copies.insert({instance_.expert_of_item(layer, item), row[item]});
      }
      if (copies.size() == row.size()) rows.push_back(row);
    } while (std::ranges::next_permutation(row).found);
    return rows;
  }

  [[nodiscard]] std::int64_t largest_load(std::size_t layer, const Row& row) const {
    std::vector<std::int64_t> load(instance_.gpus, 0);
    for (std::size_t item = 0; item < row.size(); ++item) load[row[item]] += instance_.load_units(layer, item);
    return std::ranges::max(load);
  }

  [[nodiscard]] std::size_t node_of(std::size_t gpu) const { return gpu * small_.cluster.nodes / small_.cluster.gpus; }

  [[nodiscard]] double price(std::size_t from, std::size_t to) const {
    const CommWeights weights = instance_.objective.comm_weights(small_.cluster);
    if (from == to) return 0.0;
    return node_of(from) == node_of(to) ? weights.other_gpu : weights.other_node;
  }

  /// Item that a token takes of an expert: its copies in turn.
  [[nodiscard]] std::size_t copy_for(std::size_t layer, ExpertIndex expert, std::size_t token) const {
    const auto experts = instance_.expert_of_item[layer];
    const auto first = std::ranges::lower_bound(experts, expert);
    const auto copies = static_cast<std::size_t>(std::ranges::upper_bound(experts, expert) - first);
    return static_cast<std::size_t>(first - experts.begin()) + token % copies;
  }

  /// Mean over tokens of what a layer's rounds touch.
  [[nodiscard]] double dispatch_cost(std::size_t layer, const Row& row) const {
    const TokenPaths& paths = small_.profile.paths;
    const CommWeights weights = instance_.objective.comm_weights(small_.cluster);
    double sum = 0;
    for (std::size_t round = 0; round < paths.rounds(); ++round) {
      if (paths.layer_of_round[round] != layer) continue;
      for (std::size_t token = 0; token < paths.tokens(); ++token) {
        std::set<std::size_t> gpus;
        std::set<std::size_t> nodes;
        for (const ExpertIndex expert : paths.chosen(token, round)) {
          const std::size_t gpu = row[copy_for(layer, expert, token)];
          gpus.insert(gpu);
          nodes.insert(node_of(gpu));
        }
        sum += weights.other_gpu * static_cast<double>(gpus.size());
        if (small_.cluster.nodes > 1) sum += weights.other_node * static_cast<double>(nodes.size());
      }
    }
    return sum / static_cast<double>(paths.tokens());
  }

  [[nodiscard]] double traffic_inside(std::size_t layer, const Row& row) const {
    double sum = 0;
    for (const Neighbour& other : instance_.neighbours[layer]) {
      if (other.layer != layer) continue;
      for (std::size_t i = 0; i < row.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) sum += price(row[i], row[j]) * static_cast<double>(other.traffic(i, j));
      }
    }
    return sum;
  }

  [[nodiscard]] std::vector<double> own_costs(std::size_t layer, std::int64_t cap, double peak_weight) const {
    std::int64_t total = 0;
    for (const std::int64_t units : instance_.load_units[layer]) total += units;
    const double mean = static_cast<double>(total) / static_cast<double>(instance_.gpus);
    std::vector<double> costs;
    for (const Row& row : rows_[layer]) {
      const std::int64_t largest = largest_load(layer, row);
      const double communication = instance_.is_dispatch() ? dispatch_cost(layer, row) : traffic_inside(layer, row);
      costs.push_back(largest > cap ? std::numeric_limits<double>::infinity()
                                    : communication + peak_weight * static_cast<double>(largest) / mean);
    }
    return costs;
  }

  [[nodiscard]] Grid<double> pair_costs(std::size_t layer) const {
    Grid<double> costs(rows_[layer].size(), rows_[layer + 1].size());
    for (const Neighbour& other : instance_.neighbours[layer]) {
      if (other.layer != layer + 1) continue;
      for (std::size_t a = 0; a < costs.rows(); ++a) {
        // Cost of each item of the next layer on each GPU.
        Grid<double> on_gpu(instance_.items(), instance_.gpus);
        for (std::size_t j = 0; j < instance_.items(); ++j) {
          for (std::size_t gpu = 0; gpu < instance_.gpus; ++gpu) {
            for (std::size_t i = 0; i < instance_.items(); ++i) {
              on_gpu(j, gpu) += price(rows_[layer][a][i], gpu) * static_cast<double>(other.traffic(i, j));
            }
          }
        }
        for (std::size_t b = 0; b < costs.cols(); ++b) {
          for (std::size_t j = 0; j < instance_.items(); ++j) costs(a, b) += on_gpu(j, rows_[layer + 1][b][j]);
        }
      }
    }
    return costs;
  }

  const SmallCase& small_;
  const Instance& instance_;
  std::vector<std::vector<Row>> rows_;
};

}  // namespace evenkeel::testing
