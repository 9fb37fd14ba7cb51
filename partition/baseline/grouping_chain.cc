#include "partition/baseline/grouping_chain.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "partition/baseline/cluster_match.h"
#include "partition/model/semi_assignment.h"

namespace evenkeel {
namespace {

/// 8 GPUs on 4 nodes. The next, 16 on 2, would be 6,435 and take minutes.
constexpr double kGroupingsMax = 105;

/// G! / (s!^N N!), as a product: the lowest cluster of those left chooses s - 1 others for its node.
double groupings(std::size_t gpus, std::size_t nodes) {
  const std::size_t size = gpus / nodes;
  double count = 1;
  for (std::size_t left = gpus; left > 0; left -= size) {
    for (std::size_t i = 1; i < size; ++i) count *= static_cast<double>(left - i) / static_cast<double>(i);
  }
  return std::round(count);
}

/// All ways to group clusters into nodes, each group stored once.
class Groupings {
 public:
  explicit Groupings(const Instance& clusters) : size_(clusters.gpus_per_node()) {
    std::vector<std::size_t> all(clusters.gpus);
    std::iota(all.begin(), all.end(), std::size_t{0});
    std::vector<std::size_t> chosen;
    extend(all, chosen);
  }

  [[nodiscard]] std::size_t count() const { return groups_of_.size(); }
  [[nodiscard]] const std::vector<ClusterGroup>& groups() const { return groups_; }
  /// Numbers of the groups of a grouping [nodes].
  [[nodiscard]] const std::vector<std::size_t>& groups_of(std::size_t grouping) const { return groups_of_[grouping]; }
  [[nodiscard]] Grouping operator[](std::size_t grouping) const {
    Grouping result;
    for (const std::size_t group : groups_of_[grouping]) result.push_back(groups_[group]);
    return result;
  }

 private:
  /// Adds every completion of the groups chosen so far by those of the clusters left.
  void extend(const std::vector<std::size_t>& left, std::vector<std::size_t>& chosen) {
    if (left.empty()) {
      groups_of_.push_back(chosen);
      return;
    }
    // The lowest cluster left opens the next group, which lists each grouping once.
    ClusterGroup group{left.front()};
    choose_rest(left, 1, group, chosen);
  }

  void choose_rest(const std::vector<std::size_t>& left, std::size_t next, ClusterGroup& group,
                   std::vector<std::size_t>& chosen) {
    if (group.size() == size_) {
      std::vector<std::size_t> rest;
      std::ranges::set_difference(left, group, std::back_inserter(rest));
      chosen.push_back(number_of(group));
      extend(rest, chosen);
      chosen.pop_back();
      return;
    }
    const std::size_t wanted = size_ - group.size();
    for (std::size_t i = next; i + wanted <= left.size(); ++i) {
      group.push_back(left[i]);
      choose_rest(left, i + 1, group, chosen);
      group.pop_back();
    }
  }

  std::size_t number_of(const ClusterGroup& group) {
    const auto [found, is_new] = numbers_.try_emplace(group, groups_.size());
    if (is_new) groups_.push_back(group);
    return found->second;
  }

  std::size_t size_;
  std::vector<ClusterGroup> groups_;
  std::map<ClusterGroup, std::size_t> numbers_;
  std::vector<std::vector<std::size_t>> groups_of_;
};

/// What each pair of groups keeps when on one node [groups of from, groups of to].
Grid<double> kept_by_groups(const Instance& clusters, const Groupings& states, const Grid<float>& traffic) {
  const auto& groups = states.groups();
  Grid<double> kept(groups.size(), groups.size());
  for (std::size_t a = 0; a < groups.size(); ++a) {
    for (std::size_t b = 0; b < groups.size(); ++b)
      kept(a, b) = match_groups(clusters, traffic, groups[a], groups[b]).kept;
  }
  return kept;
}

/// What two groupings keep at best.
double kept_by_groupings(const std::vector<std::size_t>& from, const std::vector<std::size_t>& to,
                         const Grid<double>& kept_by_group) {
  Grid<double> kept(from.size(), to.size());
  for (std::size_t a = 0; a < from.size(); ++a) {
    for (std::size_t b = 0; b < to.size(); ++b) kept(a, b) = kept_by_group(from[a], to[b]);
  }
  const auto column = best_semi_assignment(kept, 1);
  double sum = 0;
  for (std::size_t a = 0; a < from.size(); ++a) sum += kept(a, column[a]);
  return sum;
}

/// Grouping of each layer [layers]; empty where the budget ends first.
std::vector<std::size_t> best_states(const Instance& clusters, const Groupings& states, Budget& budget) {
  std::vector<double> kept(states.count(), 0.0);
  Grid<std::size_t> came_from(clusters.layers(), states.count());
  for (std::size_t layer = 1; layer < clusters.layers(); ++layer) {
    if (budget.exhausted()) return {};
    budget.spend(states.count() * states.count() * clusters.gpus * clusters.gpus);
    const Grid<double> by_group = kept_by_groups(clusters, states, traffic_between(clusters, layer - 1, layer));
    std::vector<double> next(states.count(), -1.0);
    for (std::size_t b = 0; b < states.count(); ++b) {
      for (std::size_t a = 0; a < states.count(); ++a) {
        const double through = kept[a] + kept_by_groupings(states.groups_of(a), states.groups_of(b), by_group);
        if (a != 0 && through <= next[b]) continue;
        next[b] = through;
        came_from(layer, b) = a;
      }
    }
    kept = std::move(next);
  }
  std::vector<std::size_t> path(clusters.layers());
  path.back() = static_cast<std::size_t>(std::ranges::max_element(kept) - kept.begin());
  for (std::size_t layer = clusters.layers() - 1; layer > 0; --layer) path[layer - 1] = came_from(layer, path[layer]);
  return path;
}

}  // namespace

std::optional<Assignment> best_chain_map(const Instance& clusters, Budget& budget) {
  if (!is_chain(clusters) || groupings(clusters.gpus, clusters.nodes) > kGroupingsMax) return std::nullopt;
  const Groupings states(clusters);
  const auto path = best_states(clusters, states, budget);
  if (path.empty()) return std::nullopt;
  Assignment map(clusters.layers(), clusters.gpus);
  GpuIndex next = 0;
  for (const ClusterGroup& group : states[path.front()]) {
    for (const std::size_t cluster : group) map(0, cluster) = next++;
  }
  for (std::size_t layer = 1; layer < clusters.layers(); ++layer) {
    const Grid<float> traffic = traffic_between(clusters, layer - 1, layer);
    follow(match_layers(clusters, traffic, states[path[layer - 1]], states[path[layer]]), map[layer - 1], map[layer]);
  }
  return map;
}

}  // namespace evenkeel
