#include "partition/baseline/exflow.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "partition/model/arrangement.h"
#include "partition/model/semi_assignment.h"
#include "partition/warmstart/lpt.h"
#include "partition/warmstart/repair.h"

namespace evenkeel {
namespace {

constexpr GpuIndex kNoPart = std::numeric_limits<GpuIndex>::max();
/// Gains below this are rounding.
constexpr double kExflowGainMin = 1e-9;

/// Divides some items of every layer, the members, over parts of equal size so that most traffic stays inside parts.
class Division {
 public:
  /// `members` [layers]: the same number in each layer, a multiple of `parts`.
  Division(const Instance& instance, std::vector<std::vector<std::size_t>> members, std::size_t parts)
      : instance_(instance),
        members_(std::move(members)),
        parts_(parts),
        part_(instance.layers(), instance.items(), kNoPart) {}

  void solve(Budget& budget) {
    const std::size_t layers = instance_.layers();
    for (std::size_t layer = 0; layer < layers && parts_ > 1; ++layer) improve(layer, budget);
    for (std::size_t layer = 0; layer < layers; ++layer) deal_if_open(layer);
    std::vector<bool> is_settled(layers, parts_ == 1);
    bool is_forward = false;
    while (std::ranges::find(is_settled, false) != is_settled.end() && !budget.exhausted()) {
      for (std::size_t step = 0; step < layers; ++step) {
        const std::size_t layer = is_forward ? step : layers - 1 - step;
        if (is_settled[layer]) continue;
        is_settled[layer] = true;
        if (!improve(layer, budget)) continue;
        for (const Neighbour& other : instance_.neighbours[layer]) is_settled[other.layer] = false;
      }
      is_forward = !is_forward;
    }
  }

  /// Part of each member [layers, items]; not to be asked of other items.
  [[nodiscard]] const Assignment& part() const { return part_; }

 private:
  [[nodiscard]] std::size_t capacity(std::size_t layer) const { return members_[layer].size() / parts_; }

  /// Solves one layer given all layers that are divided already. Returns whether that keeps more traffic.
  bool improve(std::size_t layer, Budget& budget) {
    if (budget.exhausted()) return false;
    budget.spend(members_[layer].size() * members_[layer].size());
    const bool is_open = part_(layer, members_[layer].front()) == kNoPart;
    const double before = is_open ? -std::numeric_limits<double>::infinity() : kept(layer);
    const auto best = best_semi_assignment(affinity(layer), capacity(layer));
    const std::vector<GpuIndex> old(part_[layer].begin(), part_[layer].end());
    for (std::size_t row = 0; row < best.size(); ++row)
      part_(layer, members_[layer][row]) = static_cast<GpuIndex>(best[row]);
    // With several rounds over one layer its own traffic is quadratic, and the linear optimum may be worse.
    if (is_open || kept(layer) > before + kExflowGainMin) return true;
    std::ranges::copy(old, part_[layer].begin());
    return false;
  }

  /// Traffic that each member would keep in each part [members, parts].
  [[nodiscard]] Grid<double> affinity(std::size_t layer) const {
    Grid<double> result(members_[layer].size(), parts_);
    for (const Neighbour& other : instance_.neighbours[layer]) {
      const auto& others = members_[other.layer];
      if (part_(other.layer, others.front()) == kNoPart) continue;
      for (std::size_t row = 0; row < result.rows(); ++row) {
        const auto traffic = other.traffic[members_[layer][row]];
        for (const std::size_t j : others) result(row, part_(other.layer, j)) += static_cast<double>(traffic[j]);
      }
    }
    return result;
  }

  [[nodiscard]] double kept(std::size_t layer) const {
    double sum = 0;
    for (const Neighbour& other : instance_.neighbours[layer]) {
      for (const std::size_t i : members_[layer]) {
        for (const std::size_t j : members_[other.layer]) {
          if (other.layer == layer && j < i) continue;  // a layer's own traffic is stored from both ends
          if (part_(layer, i) == part_(other.layer, j)) sum += static_cast<double>(other.traffic(i, j));
        }
      }
    }
    return sum;
  }

  void deal_if_open(std::size_t layer) {
    for (std::size_t row = 0; row < members_[layer].size(); ++row) {
      GpuIndex& part = part_(layer, members_[layer][row]);
      if (part == kNoPart) part = static_cast<GpuIndex>(row / capacity(layer));
    }
  }

  const Instance& instance_;
  std::vector<std::vector<std::size_t>> members_;
  std::size_t parts_;
  Assignment part_;
};

/// Items of each layer that are in one part of a division.
std::vector<std::vector<std::size_t>> members_of(const Assignment& part, std::size_t wanted) {
  std::vector<std::vector<std::size_t>> members(part.rows());
  for (std::size_t layer = 0; layer < part.rows(); ++layer) {
    for (std::size_t item = 0; item < part.cols(); ++item) {
      if (part(layer, item) == wanted) members[layer].push_back(item);
    }
  }
  return members;
}

Assignment divide_over_nodes(const Instance& instance, Budget& budget) {
  const Assignment everything(instance.layers(), instance.items(), 0);
  Division division(instance, members_of(everything, 0), instance.nodes);
  division.solve(budget);
  return division.part();
}

}  // namespace

Assignment exflow_assignment(const Instance& instance, Budget& budget) {
  const Assignment node_of_item = divide_over_nodes(instance, budget);
  Assignment assignment(instance.layers(), instance.items());
  for (std::size_t node = 0; node < instance.nodes; ++node) {
    const auto members = members_of(node_of_item, node);
    Division division(instance, members, instance.gpus_per_node());
    division.solve(budget);
    for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
      for (const std::size_t item : members[layer]) {
        assignment(layer, item) = static_cast<GpuIndex>(node * instance.gpus_per_node() + division.part()(layer, item));
      }
    }
  }
  if (!instance.has_replicas()) return assignment;
  Arrangement arrangement(instance, std::move(assignment));
  repair_slots(arrangement, lpt_assignment(instance));
  return arrangement.assignment();
}

}  // namespace evenkeel
