#include "partition/slots/replan_traffic.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "partition/model/arrangement.h"
#include "partition/search/arrangement_layer.h"
#include "partition/search/balance.h"
#include "partition/search/dispatch_layer.h"
#include "partition/slots/replan_traffic_search.h"

namespace evenkeel {
namespace {

/// Shares of the budget that is left when each begins.
constexpr double kDescentShare = 0.2;
constexpr double kAnnealingShare = 0.85;

HeldItems held_items(const Instance& instance, const Placement& running) {
  HeldItems held;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    Grid<std::uint8_t> by_expert(instance.experts, instance.gpus);
    for (std::size_t slot = 0; slot < running.slots(); ++slot)
      by_expert(running.row(LayerId(layer))[slot], running.gpu_of(SlotId(slot)).index()) = 1;
    Grid<std::uint8_t>& by_item = held.emplace_back(instance.items(), instance.gpus);
    for (std::size_t item = 0; item < instance.items(); ++item)
      std::ranges::copy(by_expert[instance.expert_of_item(layer, item)], by_item[item].begin());
  }
  return held;
}

bool is_within(const Instance& instance, const Assignment& assignment, const HeldItems& held, const LoadGoal& caps,
               std::size_t moves_max) {
  std::size_t moves = 0;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    for (std::size_t item = 0; item < instance.items(); ++item)
      moves += held[layer](item, assignment(layer, item)) != 0 ? 0U : 1U;
  }
  return moves <= moves_max &&
         std::ranges::equal(largest_loads(instance, assignment), caps.threshold_units, std::less_equal<>());
}

/// Layers beyond their cap as they are in `within`.
void restore_caps(const Instance& instance, const Assignment& within, const LoadGoal& caps, Assignment& assignment) {
  const auto largest = largest_loads(instance, assignment);
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) {
    if (largest[layer] > caps.threshold_units[layer]) std::ranges::copy(within[layer], assignment[layer].begin());
  }
}

/// A descent, an annealing from there and a descent from that. `assignment` tells how the layers stand.
template <class Layer, class Read>
Assignment search(const Instance& instance, std::vector<Layer>& layers, Read&& assignment, const HeldItems& held,
                  const LoadGoal& caps, std::size_t moves_max, Budget& budget, std::uint64_t seed) {
  TrafficSearch<Layer> traffic(layers, held, instance.slowness, caps, moves_max);
  BudgetSlice first(budget, kDescentShare);
  traffic.descend(first);
  const Assignment descended = assignment();
  BudgetSlice annealing(budget, kAnnealingShare);
  traffic.anneal(annealing, seed);
  BudgetSlice last(budget, 1.0);
  traffic.give_back_moves(last);
  traffic.descend(last);
  Assignment annealed = assignment();
  restore_caps(instance, descended, caps, annealed);
  const bool is_better = is_within(instance, annealed, held, caps, moves_max) &&
                         communication(instance, annealed) < communication(instance, descended);
  return is_better ? annealed : descended;
}

}  // namespace

Assignment replan_traffic(const Instance& instance, const Assignment& start, const Placement& running,
                          const LoadGoal& caps, std::size_t moves_max, Budget& budget, std::uint64_t seed) {
  const HeldItems held = held_items(instance, running);
  if (instance.is_dispatch()) {
    std::vector<DispatchLayer> layers;
    for (std::size_t layer = 0; layer < instance.layers(); ++layer) layers.emplace_back(instance, layer, start[layer]);
    const auto assignment = [&] {
      Assignment result(instance.layers(), instance.items());
      for (std::size_t layer = 0; layer < layers.size(); ++layer)
        std::ranges::copy(layers[layer].gpu_of_item(), result[layer].begin());
      return result;
    };
    return search(instance, layers, assignment, held, caps, moves_max, budget, seed);
  }
  Arrangement arrangement(instance, start);
  std::vector<ArrangementLayer> layers;
  for (std::size_t layer = 0; layer < instance.layers(); ++layer) layers.emplace_back(arrangement, layer);
  const auto assignment = [&] { return arrangement.assignment(); };
  return search(instance, layers, assignment, held, caps, moves_max, budget, seed);
}

}  // namespace evenkeel
