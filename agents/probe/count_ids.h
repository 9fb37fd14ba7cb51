#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace evenkeel::probe {

/// Sub-tables of a layer: ids go to them in turn, so that a hot expert's increments do not wait for each other.
inline constexpr std::size_t kSubTables = 4;

/// Cells from one sub-table to the next: one for each expert, one for "none", whole cache lines.
[[nodiscard]] constexpr std::size_t sub_table_cells(std::size_t experts) { return (experts + 1 + 15) / 16 * 16; }

/// Whether all ids are experts. Vectorises: ids and (experts - 1 - id) are never negative where they are.
template <class Id>
[[nodiscard]] bool all_experts(const Id* ids, std::size_t count, std::size_t experts) {
  if constexpr (std::is_unsigned_v<Id>) {
    Id most = 0;
    for (std::size_t i = 0; i < count; ++i) most = std::max(most, ids[i]);
    return most < experts;
  } else {
    using Bits = std::make_unsigned_t<Id>;
    const Bits last = static_cast<Bits>(experts - 1);
    Bits bits = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Bits id = static_cast<Bits>(ids[i]);
      bits |= id | (last - id);
    }
    return static_cast<Id>(bits) >= 0;
  }
}

/// Adds one to the cell of each id, and to cell `experts` for an id that is no expert. Cost: one read-modify-write an
/// id, and a vectorised look for ids that are none.
template <class Id>
void count_ids(const Id* ids, std::size_t count, std::size_t experts, std::uint32_t* table) {
  // What the check has read is still in the first-level cache when it is counted.
  constexpr std::size_t kBlock = 512;
  const std::size_t stride = sub_table_cells(experts);
  std::uint32_t* const tables[kSubTables] = {table, table + stride, table + 2 * stride, table + 3 * stride};
  while (count > 0) {
    const std::size_t n = std::min(count, kBlock);
    std::size_t i = 0;
    if (all_experts(ids, n, experts)) {
      for (; i + kSubTables <= n; i += kSubTables) {
        for (std::size_t t = 0; t < kSubTables; ++t) ++tables[t][static_cast<std::size_t>(ids[i + t])];
      }
    }
    for (; i < n; ++i) {
      // A negative id is a large one here.
      const auto id = static_cast<std::size_t>(ids[i]);
      ++tables[i % kSubTables][std::min(id, experts)];
    }
    ids += n;
    count -= n;
  }
}

}  // namespace evenkeel::probe
