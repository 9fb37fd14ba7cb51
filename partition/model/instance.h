#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/foundation/grid.h"
#include "partition/foundation/id.h"
#include "partition/model/cluster.h"
#include "partition/model/objective.h"
#include "partition/model/placement.h"
#include "partition/model/robust.h"
#include "partition/model/routing_profile.h"

namespace evenkeel {

/// Load units in one token. A multiple of 1 to 16, so that the even split of an expert over up to 16 replicas stays a
/// whole number and sums of loads are exact.
inline constexpr std::int64_t kLoadUnitsPerToken = 720720;

/// Most tokens of a layer: sums in load units stay far inside 63 bits.
inline constexpr std::uint64_t kLayerTokensMax = 1'000'000'000'000;

/// GPU of an item, as bulk tables store it.
using GpuIndex = std::uint16_t;

/// Load weighed by how long a GPU takes for it, relative to the others [gpus]; all alike where `slowness` is empty.
[[nodiscard]] inline std::int64_t weighed_units(std::int64_t units, std::span<const double> slowness, std::size_t gpu) {
  return slowness.empty() ? units : static_cast<std::int64_t>(static_cast<double>(units) * slowness[gpu]);
}

/// Which GPU each item of each layer is on [layers, items].
using Assignment = Grid<GpuIndex>;

/// Traffic between the items of a layer and those of a neighbouring one.
struct Neighbour {
  std::size_t layer;
  /// Share of the layer pair's tokens that go between two items, in either direction [items here, items there].
  Grid<float> traffic;
};

/// The distinct sets of items that tokens chose in one layer: what dispatch communication is counted on.
struct TokenSets {
  /// Most items of a set: top-k.
  std::size_t width = 0;
  /// Items of each set, ascending, then kNoItem [sets, width].
  std::vector<ExpertIndex> items;
  /// Tokens that chose each set, over all rounds of the layer [sets].
  std::vector<std::uint32_t> tokens;
  std::uint64_t total_tokens = 0;
  /// Rounds of the layer: its cost is this times the mean over tokens.
  std::size_t rounds = 0;

  [[nodiscard]] std::size_t size() const { return tokens.size(); }
  [[nodiscard]] std::span<const ExpertIndex> set(std::size_t index) const {
    return {items.data() + index * width, width};
  }
};
inline constexpr ExpertIndex kNoItem = kNoExpert;

/// The placement problem as solvers see it. An item is one copy of an expert; each layer has as many items as slots,
/// and every GPU takes the same number of each layer's, but where `slots_of_gpu` differ (few searches take that: those
/// of bounded re-planning). Replicas split an expert's load and traffic evenly.
struct Instance {
  std::size_t gpus = 1;
  std::size_t nodes = 1;
  std::size_t experts = 0;
  std::vector<int> layer_ids;
  /// Slots of each GPU in every layer, that is, the items it takes [gpus].
  std::vector<std::uint32_t> slots_of_gpu;
  /// Time that a unit of load takes on each GPU, relative to one another [gpus]; empty: the same on all.
  std::vector<double> slowness;
  /// Expert of each item [layers, items]; copies of one expert are neighbours.
  Grid<ExpertIndex> expert_of_item;
  /// [layers, items]
  Grid<std::int64_t> load_units;
  /// Load of each item in each window with load in the layer, as a ratio to the window's mean GPU load [layers] of
  /// [items, windows]; empty where windows are fitted as one.
  std::vector<Grid<float>> window_load;
  /// How the windows' peaks make one figure.
  Robust robust;
  /// Layers that each layer exchanges tokens with [layers]; empty lists without token paths.
  std::vector<std::vector<Neighbour>> neighbours;
  /// Pairs of neighbouring rounds: what the shares of traffic add up to.
  std::size_t round_pairs = 0;
  /// Sets of items that tokens chose [layers]; empty but for dispatch communication.
  std::vector<TokenSets> token_sets;
  Objective objective;
  /// What staying on a GPU saves, beyond staying on its node, and what staying on the node saves: with one node only
  /// the first counts. In dispatch: what a touched GPU and a touched node cost.
  double gpu_gain = 1.0;
  double node_gain = 0.0;

  [[nodiscard]] std::size_t layers() const { return expert_of_item.rows(); }
  [[nodiscard]] std::size_t items() const { return expert_of_item.cols(); }
  [[nodiscard]] std::size_t slots_per_gpu() const { return items() / gpus; }
  [[nodiscard]] std::size_t gpus_per_node() const { return gpus / nodes; }
  [[nodiscard]] std::size_t node_of(std::size_t gpu) const { return gpu / gpus_per_node(); }
  [[nodiscard]] bool has_replicas() const { return items() != experts; }
  /// Whether there is communication between layers to place by.
  [[nodiscard]] bool has_traffic() const { return round_pairs != 0; }
  [[nodiscard]] bool has_windows() const { return !window_load.empty(); }
  [[nodiscard]] bool is_dispatch() const { return !token_sets.empty(); }
  /// Traffic between a layer's items and another's; null where they exchange none.
  [[nodiscard]] const Grid<float>* traffic(std::size_t layer, std::size_t other) const;
  /// Whether a layer exchanges tokens with itself: several rounds over it.
  [[nodiscard]] bool has_own_traffic(std::size_t layer) const { return traffic(layer, layer) != nullptr; }
  /// Whether layers exchange tokens with the one before, the one after and perhaps themselves only.
  [[nodiscard]] bool is_chain() const;
};

/// Fails with kInvalidInput for a layer that counts more than kLayerTokensMax tokens.
[[nodiscard]] Status check_loads(const RoutingProfile& profile);

/// Copies of each expert [layers, experts]: each spare slot goes to the expert with the largest load a copy (the greedy
/// rule of EPLB), but never beyond one copy a GPU, after each expert has `copies_min`. Ties by expert number. Needs at
/// least experts x (copies_min - 1) redundant slots.
[[nodiscard]] Grid<std::uint16_t> greedy_copies(const Grid<std::uint64_t>& load_tokens, std::size_t redundant,
                                                std::size_t gpus, std::size_t copies_min = 1);

/// Needs loads that check_loads() passes and at most experts x (GPUs - 1) redundant slots. Fails with kInfeasible where
/// the slots do not divide over the GPUs, with kInvalidInput where tables of traffic would be beyond reason.
[[nodiscard]] Result<Instance> make_instance(const RoutingProfile& profile, const Cluster& cluster,
                                             std::size_t redundant, const Objective& objective = {},
                                             std::size_t threads = 1, std::size_t copies_min = 1);

/// The same with copies of each expert as given [layers, experts]: at least 1, at most a GPU, in each layer equally
/// many in all.
[[nodiscard]] Result<Instance> make_instance(const RoutingProfile& profile, const Cluster& cluster,
                                             const Grid<std::uint16_t>& copies, const Objective& objective,
                                             std::size_t threads);

/// Has an instance of the profile fit its windows at once.
void fit_windows(const RoutingProfile& profile, const Robust& robust, Instance& instance);

/// The placement an assignment stands for; experts of a GPU in ascending order.
[[nodiscard]] Placement to_placement(const Instance& instance, const Assignment& assignment);

/// Load of each GPU in a layer [gpus], in load units.
[[nodiscard]] std::vector<std::int64_t> gpu_load_units(const Instance& instance, const Assignment& assignment,
                                                       std::size_t layer);

/// Communication of the instance's objective. Resident: over all round pairs, the share of tokens that leave their node
/// times its weight, plus the share that leave their GPU only times its weight. Dispatch: over all rounds, the mean of
/// GPUs touched and of nodes touched, times their weights; with one node the GPUs alone. A replica is chosen by token
/// in turn, where the metrics take the expected value.
[[nodiscard]] double communication(const Instance& instance, const Assignment& assignment);

/// Tokens of a layer's sets that have an item on each GPU [gpus] and, where there are several, on each node [nodes].
struct TouchingTokens {
  std::vector<std::int64_t> gpus;
  std::vector<std::int64_t> nodes;
};

/// One pass over the layer's token sets, which it needs.
[[nodiscard]] TouchingTokens touching_tokens(const Instance& instance, std::size_t layer,
                                             std::span<const GpuIndex> gpu_of_item);

/// One layer's part of dispatch communication. Needs token sets.
[[nodiscard]] double layer_dispatch(const Instance& instance, std::size_t layer, std::span<const GpuIndex> gpu_of_item);

}  // namespace evenkeel
