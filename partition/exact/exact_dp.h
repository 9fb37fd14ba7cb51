#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "partition/model/instance.h"

namespace evenkeel {

/// What limits the load of a layer's GPUs, and what it costs.
struct LoadLimits {
  /// Largest load of a GPU in each layer, in load units [layers]; max() means no limit.
  std::span<const std::int64_t> cap_units;
  /// Cost of a layer's max / mean GPU load, in shares of one round pair: 1 in the weighted sum J, 0 in the
  /// lexicographic objective. A layer without load costs nothing.
  double peak_weight = 0;
};

/// Most steps exact_dp() may take: 0.3 s on one 2020s server core.
inline constexpr double kExactOperationsMax = 1.5e8;

/// Whether the functions below take the instance: single copies, traffic only between a layer and the next or inside a
/// layer, and no more than kExactOperationsMax steps. Up to eight experts fit on any number of GPUs and nodes with 100
/// layers, ten on two GPUs with 200; with one node and one slot a GPU, 64 with 100. Pure; takes no time to speak of.
[[nodiscard]] bool exact_dp_fits(const Instance& instance);

/// The assignment with the least communication(instance, x) + peak_weight x sum over layers of max / mean load within
/// the caps: a global optimum, up to the rounding of double. Dynamic programming over the states of whole layers; two
/// neighbouring states meet in the best renaming of nodes and GPUs, a matching of matchings, so that only states that
/// differ by more than names are looked at. Both ways to count communication. Pure and thread-safe; ties by the order
/// of states. Needs an instance that fits; nullopt if no assignment keeps a layer within its cap.
[[nodiscard]] std::optional<Assignment> exact_dp(const Instance& instance, const LoadLimits& limits);

/// Least possible largest GPU load of each layer, in load units [layers]. Needs an instance that fits.
[[nodiscard]] std::vector<std::int64_t> exact_largest_loads(const Instance& instance);

}  // namespace evenkeel
