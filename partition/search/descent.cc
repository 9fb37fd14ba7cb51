#include "partition/search/descent.h"

#include <algorithm>
#include <vector>

#include "partition/search/arrangement_layer.h"
#include "partition/search/layer_descent.h"
#include "partition/search/relabel.h"

namespace evenkeel {

bool descend(Arrangement& arrangement, const LoadGoal& goal, double excess_price, BudgetSlice& slice) {
  std::vector<bool> is_settled(arrangement.instance().layers(), false);
  while (std::ranges::find(is_settled, false) != is_settled.end()) {
    for (std::size_t layer = 0; layer < is_settled.size(); ++layer) {
      if (is_settled[layer]) continue;
      if (slice.exhausted()) return false;
      ArrangementLayer view(arrangement, layer);
      LayerDescent descent(view, goal.threshold_units[layer], goal.peak_weight, excess_price);
      if (!descent.pass(slice)) {
        is_settled[layer] = true;
        continue;
      }
      for (const Neighbour& other : arrangement.instance().neighbours[layer]) is_settled[other.layer] = false;
    }
  }
  return true;
}

bool restore_caps(Arrangement& arrangement, const LoadGoal& goal, const Assignment& within_caps) {
  bool restored = false;
  for (std::size_t layer = 0; layer < arrangement.instance().layers() && goal.is_cap(); ++layer) {
    if (std::ranges::max(arrangement.gpu_load(layer)) <= goal.threshold_units[layer]) continue;
    arrangement.assign_layer(layer, within_caps[layer]);
    relabel_layer(arrangement, layer);
    restored = true;
  }
  return restored;
}

void descend_to_goal(Arrangement& arrangement, const LoadGoal& goal, const Assignment& within_caps,
                     BudgetSlice& slice) {
  if (!goal.is_cap()) {
    descend(arrangement, goal, 0.0, slice);
    return;
  }
  for (const double price : rising_prices()) descend(arrangement, goal, price, slice);
  if (restore_caps(arrangement, goal, within_caps)) descend(arrangement, goal, kHardCap, slice);
}

std::chrono::duration<double> descent_estimate(const Instance& instance) {
  const auto pairs = static_cast<double>(instance.layers() * instance.items() * instance.items());
  return std::chrono::duration<double>(5e-8 * pairs);
}

}  // namespace evenkeel
