#include "partition/warmstart/repair.h"

#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace evenkeel {
namespace {

std::vector<std::size_t> items_per_gpu(const Arrangement& arrangement, std::size_t layer) {
  std::vector<std::size_t> count(arrangement.instance().gpus, 0);
  for (std::size_t item = 0; item < arrangement.instance().items(); ++item) ++count[arrangement.gpu_of(layer, item)];
  return count;
}

/// The move from an overfull to an underfull GPU that loses least, or none when all are right.
std::optional<std::pair<std::size_t, std::size_t>> best_move(const Arrangement& arrangement, std::size_t layer,
                                                             const std::vector<std::size_t>& count) {
  const Instance& instance = arrangement.instance();
  std::optional<std::pair<std::size_t, std::size_t>> best;
  double best_gain = -std::numeric_limits<double>::infinity();
  for (std::size_t item = 0; item < instance.items(); ++item) {
    const std::size_t from = arrangement.gpu_of(layer, item);
    if (count[from] <= instance.slots_per_gpu()) continue;
    for (std::size_t to = 0; to < instance.gpus; ++to) {
      if (count[to] >= instance.slots_per_gpu()) continue;
      const double gain = arrangement.affinity(layer, item, to) - arrangement.affinity(layer, item, from);
      if (gain <= best_gain) continue;
      best_gain = gain;
      best = {item, to};
    }
  }
  return best;
}

/// The swap of a doubled copy with an item of another GPU that loses least.
std::optional<std::size_t> best_partner(const Arrangement& arrangement, std::size_t layer, std::size_t item) {
  std::optional<std::size_t> best;
  double best_gain = -std::numeric_limits<double>::infinity();
  for (std::size_t other = 0; other < arrangement.instance().items(); ++other) {
    if (arrangement.gpu_of(layer, other) == arrangement.gpu_of(layer, item) ||
        arrangement.swap_duplicates(layer, item, other)) {
      continue;
    }
    const double gain = arrangement.swap_gain(layer, item, other);
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = other;
  }
  return best;
}

void fill_slots(Arrangement& arrangement, std::size_t layer) {
  auto count = items_per_gpu(arrangement, layer);
  while (const auto move = best_move(arrangement, layer, count)) {
    --count[arrangement.gpu_of(layer, move->first)];
    ++count[move->second];
    arrangement.move(layer, move->first, move->second);
  }
}

/// Returns whether no GPU holds an expert twice any more.
bool part_copies(Arrangement& arrangement, std::size_t layer) {
  for (std::size_t item = 0; item < arrangement.instance().items(); ++item) {
    if (arrangement.copies_on(layer, item, arrangement.gpu_of(layer, item)) < 2) continue;
    const auto partner = best_partner(arrangement, layer, item);
    if (!partner) return false;
    arrangement.swap(layer, item, *partner);
  }
  return true;
}

}  // namespace

void repair_slots(Arrangement& arrangement, const Assignment& fallback) {
  for (std::size_t layer = 0; layer < arrangement.instance().layers(); ++layer) {
    fill_slots(arrangement, layer);
    if (arrangement.instance().has_replicas() && !part_copies(arrangement, layer)) {
      arrangement.assign_layer(layer, fallback[layer]);
    }
  }
}

}  // namespace evenkeel
