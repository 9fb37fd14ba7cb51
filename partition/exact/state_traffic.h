#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/exact/layer_states.h"
#include "partition/foundation/grid.h"
#include "partition/model/instance.h"

namespace evenkeel {

/// Largest sum of value(row, column) over the one-to-one maps of rows to columns; `value` is square and finite. Exact
/// and pure; rows x 2^rows time up to 8 rows, rows^3 beyond.
[[nodiscard]] double largest_matching(const Grid<double>& value);

/// A state with names: which bin each GPU holds [GPUs].
using BinOfGpu = std::vector<std::uint32_t>;

/// A state's nodes and GPUs in the order it lists them.
[[nodiscard]] BinOfGpu bins_in_order(const LayerStates& states, std::size_t state);

/// Traffic between two layers, and what of it states of the two keep off the network when the second layer's nodes and
/// GPUs are named as suits the first best. "Here" is the first layer, "there" the second.
class StateTraffic {
 public:
  /// `traffic` is [items here, items there]; the states must outlive it. bins^2 x slots time.
  StateTraffic(const Instance& instance, const LayerStates& states, const Grid<float>& traffic);

  /// Traffic kept, weighed as in the objective, when a block there takes the place of a block here, its GPUs as suits
  /// best [blocks here, blocks there].
  [[nodiscard]] Grid<double> block_gains() const;
  /// Names the nodes and GPUs of a state there so that most traffic from the GPUs here is kept.
  [[nodiscard]] BinOfGpu best_names(const BinOfGpu& here, std::size_t state_there) const;

 private:
  [[nodiscard]] double block_gain(std::span<const std::uint32_t> bins_here, std::span<const std::uint32_t> bins_there,
                                  Grid<double>& scratch) const;
  void fill_bin_gains(std::span<const std::uint32_t> bins_here, std::span<const std::uint32_t> bins_there,
                      Grid<double>& gains) const;
  [[nodiscard]] Grid<double> scratch() const;

  const LayerStates& states_;
  double gpu_gain_;
  double node_gain_;
  /// [bins here, bins there]
  Grid<double> bin_traffic_;
};

}  // namespace evenkeel
