#include "partition/exact/state_traffic.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "partition/model/semi_assignment.h"

namespace evenkeel {
namespace {

/// Beyond this many rows shortest augmenting paths are faster than a table over subsets of columns.
constexpr std::size_t kSubsetRowsMax = 8;

/// Bits set in each byte: a table beats the library call that std::popcount is without -mpopcnt.
constexpr auto kBits = [] {
  std::array<std::uint8_t, std::size_t{1} << kSubsetRowsMax> bits{};
  for (std::size_t byte = 0; byte < bits.size(); ++byte) bits[byte] = static_cast<std::uint8_t>(std::popcount(byte));
  return bits;
}();

/// best[columns] = largest sum with the first rows on exactly these columns.
double matching_by_subsets(const Grid<double>& value) {
  std::array<double, std::size_t{1} << kSubsetRowsMax> best;
  best[0] = 0;
  const unsigned all = (1U << value.rows()) - 1;
  for (unsigned columns = 1; columns <= all; ++columns) {
    const auto row = value[kBits[columns] - 1U];
    double largest = -std::numeric_limits<double>::infinity();
    for (unsigned left = columns; left != 0; left &= left - 1) {
      const unsigned last = left & ~(left - 1);
      largest = std::max(largest, best[columns ^ last] + row[static_cast<std::size_t>(std::countr_zero(left))]);
    }
    best[columns] = largest;
  }
  return best[all];
}

Grid<double> bin_traffic(const LayerStates& states, const Grid<float>& traffic) {
  Grid<double> result(states.bins.rows(), states.bins.rows());
  std::vector<double> from_bin(traffic.cols());
  for (std::size_t here = 0; here < states.bins.rows(); ++here) {
    std::ranges::fill(from_bin, 0.0);
    for (const ExpertIndex item : states.bins[here]) {
      const auto row = traffic[item];
      for (std::size_t other = 0; other < row.size(); ++other) from_bin[other] += static_cast<double>(row[other]);
    }
    for (std::size_t there = 0; there < states.bins.rows(); ++there) {
      for (const ExpertIndex item : states.bins[there]) result(here, there) += from_bin[item];
    }
  }
  return result;
}

}  // namespace

double largest_matching(const Grid<double>& value) {
  if (value.rows() == 1) return value(0, 0);
  if (value.rows() == 2) return std::max(value(0, 0) + value(1, 1), value(0, 1) + value(1, 0));
  if (value.rows() <= kSubsetRowsMax) return matching_by_subsets(value);
  const auto column_of_row = best_semi_assignment(value, 1);
  double sum = 0;
  for (std::size_t row = 0; row < value.rows(); ++row) sum += value(row, column_of_row[row]);
  return sum;
}

BinOfGpu bins_in_order(const LayerStates& states, std::size_t state) {
  BinOfGpu result;
  for (const std::uint32_t block : states.states[state]) {
    const auto bins = states.blocks[block];
    result.insert(result.end(), bins.begin(), bins.end());
  }
  return result;
}

StateTraffic::StateTraffic(const Instance& instance, const LayerStates& states, const Grid<float>& traffic)
    : states_(states),
      gpu_gain_(instance.gpu_gain),
      // With one node all traffic stays on it, whatever the states.
      node_gain_(instance.nodes == 1 ? 0.0 : instance.node_gain),
      bin_traffic_(bin_traffic(states, traffic)) {}

Grid<double> StateTraffic::scratch() const { return {states_.blocks.cols(), states_.blocks.cols()}; }

void StateTraffic::fill_bin_gains(std::span<const std::uint32_t> bins_here, std::span<const std::uint32_t> bins_there,
                                  Grid<double>& gains) const {
  for (std::size_t here = 0; here < bins_here.size(); ++here) {
    for (std::size_t there = 0; there < bins_there.size(); ++there) {
      gains(here, there) = gpu_gain_ * bin_traffic_(bins_here[here], bins_there[there]);
    }
  }
}

double StateTraffic::block_gain(std::span<const std::uint32_t> bins_here, std::span<const std::uint32_t> bins_there,
                                Grid<double>& scratch) const {
  double on_node = 0;
  for (const std::uint32_t here : bins_here) {
    for (const std::uint32_t there : bins_there) on_node += bin_traffic_(here, there);
  }
  fill_bin_gains(bins_here, bins_there, scratch);
  return largest_matching(scratch) + node_gain_ * on_node;
}

Grid<double> StateTraffic::block_gains() const {
  Grid<double> gains(states_.blocks.rows(), states_.blocks.rows());
  Grid<double> on_gpus = scratch();
  for (std::size_t here = 0; here < gains.rows(); ++here) {
    for (std::size_t there = 0; there < gains.cols(); ++there) {
      gains(here, there) = block_gain(states_.blocks[here], states_.blocks[there], on_gpus);
    }
  }
  return gains;
}

BinOfGpu StateTraffic::best_names(const BinOfGpu& here, std::size_t state_there) const {
  const auto blocks_there = states_.states[state_there];
  const std::size_t gpus_per_block = states_.blocks.cols();
  const auto bins_here = [&](std::size_t place) {
    return std::span(here).subspan(place * gpus_per_block, gpus_per_block);
  };
  Grid<double> on_gpus = scratch();
  Grid<double> gains(blocks_there.size(), blocks_there.size());
  for (std::size_t place = 0; place < gains.rows(); ++place) {
    for (std::size_t i = 0; i < gains.cols(); ++i) {
      gains(place, i) = block_gain(bins_here(place), states_.blocks[blocks_there[i]], on_gpus);
    }
  }
  BinOfGpu result;
  const auto block_of_place = best_semi_assignment(gains, 1);
  for (std::size_t place = 0; place < gains.rows(); ++place) {
    const auto bins = states_.blocks[blocks_there[block_of_place[place]]];
    fill_bin_gains(bins_here(place), bins, on_gpus);
    for (const std::size_t bin : best_semi_assignment(on_gpus, 1)) result.push_back(bins[bin]);
  }
  return result;
}

}  // namespace evenkeel
