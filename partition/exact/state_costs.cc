#include "partition/exact/state_costs.h"

#include <algorithm>
#include <limits>
#include <span>

namespace evenkeel {
namespace {

std::vector<ExpertIndex> items_of_block(const LayerStates& states, std::size_t block) {
  std::vector<ExpertIndex> items;
  for (const std::uint32_t bin : states.blocks[block]) {
    const auto held = states.bins[bin];
    items.insert(items.end(), held.begin(), held.end());
  }
  return items;
}

/// Adds up over each state's blocks what cost_of_items(items) says of GPUs and of nodes.
template <class Cost>
std::vector<double> sum_over_states(const Instance& instance, const LayerStates& states, const Cost& cost_of_items) {
  std::vector<double> on_gpu(states.bins.rows());
  for (std::size_t bin = 0; bin < on_gpu.size(); ++bin)
    on_gpu[bin] = instance.gpu_gain * cost_of_items(states.bins[bin]);
  std::vector<double> of_block(states.blocks.rows(), 0.0);
  for (std::size_t block = 0; block < of_block.size(); ++block) {
    for (const std::uint32_t bin : states.blocks[block]) of_block[block] += on_gpu[bin];
    // A block is a node only where there are several.
    if (instance.nodes > 1) of_block[block] += instance.node_gain * cost_of_items(items_of_block(states, block));
  }
  std::vector<double> of_state(states.states.rows(), 0.0);
  for (std::size_t state = 0; state < of_state.size(); ++state) {
    for (const std::uint32_t block : states.states[state]) of_state[state] += of_block[block];
  }
  return of_state;
}

/// Mean over a layer's tokens, times its rounds, of whether a token chose any of the items.
class Touches {
 public:
  Touches(const TokenSets& sets, std::size_t items) : sets_(sets), is_among_(items) {}

  double operator()(std::span<const ExpertIndex> items) {
    std::ranges::fill(is_among_, char{0});
    for (const ExpertIndex item : items) is_among_[item] = 1;
    double tokens = 0;
    for (std::size_t set = 0; set < sets_.size(); ++set) {
      const bool is_touched = std::ranges::any_of(
          sets_.set(set), [&](ExpertIndex item) { return item != kNoItem && is_among_[item] != 0; });
      if (is_touched) tokens += sets_.tokens[set];
    }
    return tokens * static_cast<double>(sets_.rounds) / static_cast<double>(sets_.total_tokens);
  }

 private:
  const TokenSets& sets_;
  std::vector<char> is_among_;
};

/// Traffic of a layer with itself between the items, which saves cost.
double kept_among(const Grid<float>& traffic, std::span<const ExpertIndex> items) {
  double kept = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    // Stored in both directions; an item's own once.
    for (std::size_t j = i; j < items.size(); ++j) kept += static_cast<double>(traffic(items[i], items[j]));
  }
  return kept;
}

}  // namespace

std::vector<std::int64_t> largest_loads_of_states(const Instance& instance, const LayerStates& states,
                                                  std::size_t layer) {
  std::vector<std::int64_t> of_block(states.blocks.rows(), 0);
  for (std::size_t block = 0; block < of_block.size(); ++block) {
    for (const std::uint32_t bin : states.blocks[block]) {
      std::int64_t load = 0;
      for (const ExpertIndex item : states.bins[bin]) load += instance.load_units(layer, item);
      of_block[block] = std::max(of_block[block], load);
    }
  }
  std::vector<std::int64_t> of_state(states.states.rows(), 0);
  for (std::size_t state = 0; state < of_state.size(); ++state) {
    for (const std::uint32_t block : states.states[state]) of_state[state] = std::max(of_state[state], of_block[block]);
  }
  return of_state;
}

std::vector<double> own_communication(const Instance& instance, const LayerStates& states, std::size_t layer) {
  if (instance.is_dispatch()) {
    const TokenSets& sets = instance.token_sets[layer];
    if (sets.total_tokens == 0) return std::vector<double>(states.states.rows(), 0.0);
    Touches touches(sets, instance.items());
    return sum_over_states(instance, states, [&](std::span<const ExpertIndex> items) { return touches(items); });
  }
  for (const Neighbour& other : instance.neighbours[layer]) {
    if (other.layer != layer) continue;
    return sum_over_states(instance, states,
                           [&](std::span<const ExpertIndex> items) { return -kept_among(other.traffic, items); });
  }
  return std::vector<double>(states.states.rows(), 0.0);
}

}  // namespace evenkeel
