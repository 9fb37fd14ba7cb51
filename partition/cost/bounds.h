#pragma once

#include <cstdint>
#include <span>

namespace evenkeel {

/// Lower bound of the largest GPU load of a layer in which each expert has one copy and every GPU `slots` of them, in
/// the unit of `load` [experts]. The largest of: the mean; for j = 0, 1, ...: the j + 1 smallest among the j G + 1
/// largest loads (two of which share a GPU j + 1 times over) plus the slots - j - 1 smallest; and for m = 1, 2, ...:
/// the least over k = ceil(m / slots) .. min(m, G) of (m largest + k slots - m smallest) / k (the m hottest lie on
/// some k GPUs). Rounded up to a whole unit. Pure; experts x G time after a sort.
[[nodiscard]] std::int64_t load_bound_single_copy(std::span<const std::int64_t> load, std::size_t gpus,
                                                  std::size_t slots);

/// Lower bound with `redundant` spare slots and an even split: the largest of the mean and the least possible largest
/// load / copies, which the greedy rule attains (an exchange argument).
[[nodiscard]] double load_bound_replicated(std::span<const std::int64_t> load, std::size_t gpus, std::size_t redundant);

/// The bound that holds for a layer of so many spare slots on equal GPUs: one of the two above, in tokens.
[[nodiscard]] double load_bound(std::span<const std::uint64_t> load_tokens, std::size_t gpus, std::size_t redundant);

}  // namespace evenkeel
