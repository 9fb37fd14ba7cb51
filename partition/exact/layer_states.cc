#include "partition/exact/layer_states.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "partition/foundation/check.h"

namespace evenkeel {
namespace {

using Items = std::vector<ExpertIndex>;
using Ids = std::vector<std::uint32_t>;

/// Calls visit(groups) with each way to split ascending items into groups of `size`, the order of groups aside: the
/// first item left always opens the next group.
template <class Visit>
void for_each_split(const Items& left, std::size_t size, std::vector<Items>& groups, const Visit& visit) {
  if (left.empty()) {
    visit(groups);
    return;
  }
  std::vector<char> is_taken(left.size(), 0);
  std::fill_n(is_taken.begin(), size, char{1});
  do {
    Items group;
    Items rest;
    for (std::size_t i = 0; i < left.size(); ++i) (is_taken[i] != 0 ? group : rest).push_back(left[i]);
    groups.push_back(std::move(group));
    for_each_split(rest, size, groups, visit);
    groups.pop_back();
  } while (std::prev_permutation(is_taken.begin() + 1, is_taken.end()));
}

/// Rows that got a number each, in order of first sight.
template <class Cell>
class Numbered {
 public:
  std::uint32_t number_of(const std::vector<Cell>& row) {
    const auto [found, is_new] = numbers_.try_emplace(row, static_cast<std::uint32_t>(rows_.size()));
    if (is_new) rows_.push_back(row);
    return found->second;
  }
  [[nodiscard]] Grid<Cell> table() const {
    Grid<Cell> result(rows_.size(), rows_.front().size());
    for (std::size_t row = 0; row < rows_.size(); ++row) std::ranges::copy(rows_[row], result[row].begin());
    return result;
  }

 private:
  std::map<std::vector<Cell>, std::uint32_t> numbers_;
  std::vector<std::vector<Cell>> rows_;
};

class Enumeration {
 public:
  Enumeration(std::size_t items, std::size_t gpus, std::size_t nodes)
      : all_(items), bin_size_(items / gpus), node_size_(items / nodes), is_one_node_(nodes == 1) {
    std::iota(all_.begin(), all_.end(), ExpertIndex{0});
  }

  LayerStates run() {
    std::vector<Items> groups;
    for_each_split(all_, is_one_node_ ? bin_size_ : node_size_, groups, [&](const std::vector<Items>& contents) {
      Ids state;
      extend(contents, state);
    });
    return {bins_.table(), blocks_.table(), states_.table()};
  }

 private:
  /// Completes a state from the contents of its blocks, in each of the ways they split into bins.
  void extend(const std::vector<Items>& contents, Ids& state) {
    if (state.size() == contents.size()) {
      states_.number_of(state);
      return;
    }
    for (const std::uint32_t block : blocks_of(contents[state.size()])) {
      state.push_back(block);
      extend(contents, state);
      state.pop_back();
    }
  }

  const Ids& blocks_of(const Items& content) {
    const auto [found, is_new] = blocks_of_content_.try_emplace(content);
    if (!is_new) return found->second;
    std::vector<Items> groups;
    for_each_split(content, bin_size_, groups, [&, &ids = found->second](const std::vector<Items>& bins) {
      Ids block(bins.size());
      std::ranges::transform(bins, block.begin(), [&](const Items& bin) { return bins_.number_of(bin); });
      ids.push_back(blocks_.number_of(block));
    });
    return found->second;
  }

  Items all_;
  std::size_t bin_size_;
  std::size_t node_size_;
  bool is_one_node_;
  Numbered<ExpertIndex> bins_;
  Numbered<std::uint32_t> blocks_;
  Numbered<std::uint32_t> states_;
  std::map<Items, Ids> blocks_of_content_;
};

double choose(std::size_t n, std::size_t k) {
  double result = 1;
  for (std::size_t i = 1; i <= k; ++i) result *= static_cast<double>(n - k + i) / static_cast<double>(i);
  return std::round(result);
}

/// Ways to split items into groups of `size`, the order of groups aside.
double count_splits(std::size_t items, std::size_t size) {
  double result = 1;
  for (std::size_t left = items; left > 0; left -= size) result *= choose(left - 1, size - 1);
  return result;
}

void check_shape(std::size_t items, std::size_t gpus, std::size_t nodes) {
  EVENKEEL_CHECK(nodes > 0 && gpus % nodes == 0, "GPUs divide over nodes");
  EVENKEEL_CHECK(items > 0 && items % gpus == 0, "items divide over GPUs");
}

}  // namespace

LayerStateCounts count_layer_states(std::size_t items, std::size_t gpus, std::size_t nodes) {
  check_shape(items, gpus, nodes);
  const std::size_t slots = items / gpus;
  const double bins = choose(items, slots);
  if (nodes == 1) return {bins, bins, count_splits(items, slots), 1, gpus};
  const std::size_t on_node = items / nodes;
  const double splits_of_node = count_splits(on_node, slots);
  return {bins, choose(items, on_node) * splits_of_node,
          count_splits(items, on_node) * std::pow(splits_of_node, static_cast<double>(nodes)), gpus / nodes, nodes};
}

LayerStates enumerate_layer_states(std::size_t items, std::size_t gpus, std::size_t nodes) {
  check_shape(items, gpus, nodes);
  return Enumeration(items, gpus, nodes).run();
}

}  // namespace evenkeel
