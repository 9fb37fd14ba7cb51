#include "partition/slots/first_slots.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

/// Slots being filled: how many of each GPU's are free, what it holds and how loaded it is.
class Filling {
 public:
  explicit Filling(const ReplanLayer& layer)
      : layer_(layer), slots_of_gpu_(layer.gpus), hosted_(layer.gpus), load_(layer.gpus, 0) {
    for (const GpuIndex gpu : layer.gpu_of_slot) ++slots_of_gpu_[gpu];
  }

  [[nodiscard]] std::size_t free(std::size_t gpu) const { return slots_of_gpu_[gpu] - hosted_[gpu].size(); }
  [[nodiscard]] bool holds(std::size_t gpu, std::size_t expert) const {
    return std::ranges::find(hosted_[gpu], expert) != hosted_[gpu].end();
  }
  [[nodiscard]] bool can_take(std::size_t gpu, std::size_t expert) const {
    return free(gpu) > 0 && !holds(gpu, expert);
  }
  [[nodiscard]] std::int64_t load_with(std::size_t gpu, std::int64_t cost) const {
    return load_[gpu] + weighed_units(cost, layer_.slowness, gpu);
  }
  void take(std::size_t gpu, std::size_t expert, std::int64_t cost) {
    load_[gpu] = load_with(gpu, cost);
    hosted_[gpu].push_back(static_cast<ExpertIndex>(expert));
  }

  /// Slots as the layer numbers them; free ones hold `otherwise`.
  [[nodiscard]] std::vector<ExpertIndex> row(ExpertIndex otherwise) const {
    std::vector<ExpertIndex> row;
    for (std::size_t gpu = 0; gpu < layer_.gpus; ++gpu) {
      row.insert(row.end(), hosted_[gpu].begin(), hosted_[gpu].end());
      row.insert(row.end(), free(gpu), otherwise);
    }
    return row;
  }

 private:
  const ReplanLayer& layer_;
  std::vector<std::size_t> slots_of_gpu_;
  std::vector<std::vector<ExpertIndex>> hosted_;
  std::vector<std::int64_t> load_;
};

std::int64_t cost_of(const ReplanLayer& layer, std::size_t expert, std::size_t copies) {
  return layer.copy_units(expert, std::min(copies, layer.copy_units.cols()) - 1);
}

/// What one more copy adds to the cost of all copies of an expert.
std::int64_t added_cost(const ReplanLayer& layer, std::size_t expert, std::size_t copies) {
  const auto with = [&](std::size_t number) {
    return cost_of(layer, expert, number) * static_cast<std::int64_t>(number);
  };
  return with(copies + 1) - with(copies);
}

/// Copies of each expert for all slots. Each more goes to the expert whose copies cost most, where that is beyond
/// `copy_max` or adds next to nothing; else to where it adds least, since slots are to be filled.
std::vector<std::size_t> copies_for(const ReplanLayer& layer, std::size_t copies_min, std::size_t gpus,
                                    std::int64_t copy_max) {
  const std::size_t experts = layer.load_units.size();
  std::vector<std::size_t> copies(experts, copies_min);
  const auto best_of = [&](auto&& key) {
    std::optional<std::size_t> best;
    for (std::size_t expert = 0; expert < experts; ++expert) {
      if (copies[expert] < gpus && (!best || key(expert) < key(*best))) best = expert;
    }
    EVENKEEL_CHECK(best, "there are at most as many slots as experts on every GPU");
    return *best;
  };
  for (std::size_t spare = experts * copies_min; spare < layer.gpu_of_slot.size(); ++spare) {
    // Among equals the one with fewest copies, then the first.
    const std::size_t costliest = best_of([&](std::size_t expert) {
      return std::tuple(-cost_of(layer, expert, copies[expert]), copies[expert], expert);
    });
    const std::int64_t cost = cost_of(layer, costliest, copies[costliest]);
    const bool is_free = added_cost(layer, costliest, copies[costliest]) < cost / 1000;
    ++copies[cost > copy_max || is_free ? costliest : best_of([&](std::size_t expert) {
      return std::pair(added_cost(layer, expert, copies[expert]), expert);
    })];
  }
  return copies;
}

/// Each copy to the GPU that `rank` puts first; none where a copy fits no GPU.
template <class Rank>
std::optional<std::vector<ExpertIndex>> pack(const ReplanLayer& layer, const std::vector<std::size_t>& copies,
                                             const std::vector<std::size_t>& order, Rank&& rank) {
  Filling filling(layer);
  for (const std::size_t expert : order) {
    const std::int64_t cost = cost_of(layer, expert, copies[expert]);
    for (std::size_t copy = 0; copy < copies[expert]; ++copy) {
      std::optional<std::size_t> best;
      for (std::size_t gpu = 0; gpu < layer.gpus; ++gpu) {
        if (!filling.can_take(gpu, expert)) continue;
        if (!best || rank(filling, gpu, cost) < rank(filling, *best, cost)) best = gpu;
      }
      if (!best) return std::nullopt;
      filling.take(*best, expert, cost);
    }
  }
  return filling.row(0);
}

std::size_t used_gpus(const ReplanLayer& layer) {
  std::size_t used = 0;
  for (std::size_t slot = 0; slot < layer.gpu_of_slot.size(); ++slot)
    used += slot == 0 || layer.gpu_of_slot[slot] != layer.gpu_of_slot[slot - 1] ? 1U : 0U;
  return used;
}

/// What stays on a GPU that has fewer slots than it held: experts that nobody else has first.
std::vector<ExpertIndex> kept_on(const Placement& running, LayerId row, GpuId gpu, std::size_t slots,
                                 const std::vector<std::size_t>& holders) {
  std::vector<ExpertIndex> hosted;
  for (const ExpertIndex expert : running.hosted(row, gpu)) {
    if (std::ranges::find(hosted, expert) == hosted.end()) hosted.push_back(expert);
  }
  if (hosted.size() <= slots) return hosted;
  std::stable_partition(hosted.begin(), hosted.end(), [&](ExpertIndex expert) { return holders[expert] == 1; });
  hosted.resize(slots);
  return hosted;
}

/// The slot of a replica, and the largest load after an expert that has no slot took it, is least.
std::size_t best_slot_for(const ReplanLayer& layer, const std::vector<ExpertIndex>& row,
                          const std::vector<std::size_t>& copies, std::size_t expert) {
  std::vector<std::int64_t> load(layer.gpus, 0);
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    if (row[slot] == kNoExpert) continue;
    load[layer.gpu_of_slot[slot]] +=
        weighed_units(cost_of(layer, row[slot], copies[row[slot]]), layer.slowness, layer.gpu_of_slot[slot]);
  }
  std::size_t best = row.size();
  std::pair<bool, std::int64_t> least{true, std::numeric_limits<std::int64_t>::max()};
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    const std::size_t gpu = layer.gpu_of_slot[slot];
    const bool is_free = row[slot] == kNoExpert;
    if (!is_free && copies[row[slot]] < 2) continue;
    std::int64_t after = load[gpu] + weighed_units(cost_of(layer, expert, 1), layer.slowness, gpu);
    if (!is_free) {
      after -= weighed_units(cost_of(layer, row[slot], copies[row[slot]]), layer.slowness, gpu);
      // Its other copies serve what it served.
      const std::int64_t more =
          cost_of(layer, row[slot], copies[row[slot]] - 1) - cost_of(layer, row[slot], copies[row[slot]]);
      for (std::size_t other = 0; other < row.size(); ++other) {
        if (other == slot || row[other] != row[slot]) continue;
        const std::size_t holder = layer.gpu_of_slot[other];
        after = std::max(after, load[holder] + weighed_units(more, layer.slowness, holder));
      }
    }
    if (std::pair(!is_free, after) >= least) continue;
    least = {!is_free, after};
    best = slot;
  }
  EVENKEEL_CHECK(best < row.size(), "with as many slots as experts one is free or a replica's");
  return best;
}

/// The expert whose copies cost most among those that a GPU does not hold.
std::size_t hottest_not_on(const ReplanLayer& layer, const std::vector<ExpertIndex>& row,
                           const std::vector<std::size_t>& copies, std::size_t gpu) {
  std::vector<bool> is_held(layer.load_units.size(), false);
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    if (layer.gpu_of_slot[slot] == gpu && row[slot] != kNoExpert) is_held[row[slot]] = true;
  }
  std::optional<std::size_t> best;
  for (std::size_t expert = 0; expert < is_held.size(); ++expert) {
    if (is_held[expert]) continue;
    if (!best || cost_of(layer, expert, copies[expert]) > cost_of(layer, *best, copies[*best])) best = expert;
  }
  EVENKEEL_CHECK(best, "no GPU has more slots than there are experts");
  return *best;
}

}  // namespace

std::vector<ExpertIndex> pack_slots(const ReplanLayer& layer, std::size_t copies_min, std::int64_t copy_max) {
  const std::size_t experts = layer.load_units.size();
  const std::size_t used = used_gpus(layer);
  const auto copies = copies_for(layer, copies_min, used, copy_max);
  std::vector<std::size_t> order(experts);
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Those that go to most GPUs first: later they would find none that is free and has them not.
  std::ranges::stable_sort(order, std::ranges::greater(), [&](std::size_t expert) {
    return std::pair(2 * copies[expert] > used ? copies[expert] : 0, cost_of(layer, expert, copies[expert]));
  });
  const auto by_load = [](const Filling& filling, std::size_t gpu, std::int64_t cost) {
    return std::pair(filling.load_with(gpu, cost), gpu);
  };
  if (auto row = pack(layer, copies, order, by_load)) return *std::move(row);
  // The emptiest GPUs for the most copies: this fits whatever fits at all (Gale and Ryser). Evenly many copies of each
  // expert do.
  const auto by_room = [](const Filling& filling, std::size_t gpu, std::int64_t cost) {
    return std::tuple(std::numeric_limits<std::size_t>::max() - filling.free(gpu), filling.load_with(gpu, cost), gpu);
  };
  const std::size_t slots = layer.gpu_of_slot.size();
  std::vector<std::size_t> even(experts, slots / experts);
  for (std::size_t i = 0; i < slots % experts; ++i) ++even[order[i]];
  std::ranges::stable_sort(order, std::ranges::greater(), [&](std::size_t expert) { return even[expert]; });
  auto row = pack(layer, even, order, by_room);
  EVENKEEL_CHECK(row, "even numbers of copies fit on GPUs with at most a slot for each expert");
  return *std::move(row);
}

std::vector<ExpertIndex> fill_slots(const ReplanLayer& layer, const Placement& running, LayerId row_id) {
  const std::size_t experts = layer.load_units.size();
  std::vector<std::size_t> slots_of_gpu(layer.gpus, 0);
  for (const GpuIndex gpu : layer.gpu_of_slot) ++slots_of_gpu[gpu];
  std::vector<std::size_t> holders(experts, 0);
  for (std::size_t gpu = 0; gpu < layer.gpus; ++gpu) {
    if (slots_of_gpu[gpu] == 0) continue;
    for (const ExpertIndex expert : running.hosted(row_id, GpuId(gpu))) ++holders[expert];
  }
  std::vector<ExpertIndex> row;
  for (std::size_t gpu = 0; gpu < layer.gpus; ++gpu) {
    const auto kept = kept_on(running, row_id, GpuId(gpu), slots_of_gpu[gpu], holders);
    row.insert(row.end(), kept.begin(), kept.end());
    row.insert(row.end(), slots_of_gpu[gpu] - kept.size(), kNoExpert);
  }
  std::vector<std::size_t> copies(experts, 0);
  for (const ExpertIndex expert : row) {
    if (expert != kNoExpert) ++copies[expert];
  }
  std::vector<std::size_t> missing;
  for (std::size_t expert = 0; expert < experts; ++expert) {
    if (copies[expert] == 0) missing.push_back(expert);
  }
  std::ranges::stable_sort(missing, std::ranges::greater(),
                           [&](std::size_t expert) { return layer.load_units[expert]; });
  const auto put = [&](std::size_t slot, std::size_t expert) {
    if (row[slot] != kNoExpert) --copies[row[slot]];
    row[slot] = static_cast<ExpertIndex>(expert);
    ++copies[expert];
  };
  for (const std::size_t expert : missing) put(best_slot_for(layer, row, copies, expert), expert);
  for (std::size_t slot = 0; slot < row.size(); ++slot) {
    if (row[slot] == kNoExpert) put(slot, hottest_not_on(layer, row, copies, layer.gpu_of_slot[slot]));
  }
  return row;
}

Grid<std::uint8_t> held_in(const Placement& placement, LayerId row) {
  Grid<std::uint8_t> held(placement.experts(), placement.gpus());
  for (std::size_t slot = 0; slot < placement.slots(); ++slot)
    held(placement.row(row)[slot], placement.gpu_of(SlotId(slot)).index()) = 1;
  return held;
}

}  // namespace evenkeel
