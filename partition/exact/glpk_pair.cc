#include "partition/exact/glpk_pair.h"

#include <algorithm>

namespace evenkeel {
namespace {

/// The block's program. Items of both GPUs are free, S of each layer go to GPU a.
class PairModel {
 public:
  PairModel(const Arrangement& arrangement, std::span<const std::int64_t> cap_units, const PairBlock& block)
      : arrangement_(arrangement), instance_(arrangement.instance()), block_(block), free_(block.layers) {
    const bool same_node = instance_.node_of(block.gpu_a) == instance_.node_of(block.gpu_b);
    together_gain_ = instance_.gpu_gain + (same_node ? 0.0 : instance_.node_gain);
    for (std::size_t depth = 0; depth < block.layers; ++depth) {
      for (std::size_t item = 0; item < instance_.items(); ++item) {
        const std::size_t gpu = arrangement.gpu_of(block.first_layer + depth, item);
        if (gpu == block.gpu_a || gpu == block.gpu_b) free_[depth].push_back(item);
      }
    }
    for (std::size_t depth = 0; depth < block.layers; ++depth) {
      for (const std::size_t item : free_[depth]) add_item(depth, item);
    }
    for (std::size_t depth = 0; depth < block.layers; ++depth) add_layer_rows(depth, cap_units);
    for (std::size_t depth = 0; depth + 1 < block.layers; ++depth) add_products(depth);
  }

  [[nodiscard]] GlpkProgram::Outcome improve(const ExactLimit& limit) const {
    return model_.improve(incumbent_, limit);
  }

  [[nodiscard]] std::vector<ItemMove> moves(std::span<const double> values) const {
    std::vector<ItemMove> result;
    std::size_t column = 0;
    for (std::size_t depth = 0; depth < block_.layers; ++depth) {
      for (const std::size_t item : free_[depth]) {
        const std::size_t to = values[column++] > 0.5 ? block_.gpu_a : block_.gpu_b;
        const std::size_t layer = block_.first_layer + depth;
        if (arrangement_.gpu_of(layer, item) != to) result.push_back({layer, item, to});
      }
    }
    return result;
  }

 private:
  [[nodiscard]] std::size_t layer_of(std::size_t depth) const { return block_.first_layer + depth; }
  [[nodiscard]] bool is_on_a(std::size_t depth, std::size_t item) const {
    return arrangement_.gpu_of(layer_of(depth), item) == block_.gpu_a;
  }
  [[nodiscard]] const Grid<float>* traffic(std::size_t depth, std::size_t other_depth) const {
    return instance_.traffic(layer_of(depth), layer_of(other_depth));
  }

  /// x of an item. Its gain is what it keeps on a beyond b with everything fixed, and the -w of each pair of free
  /// items in w (1 - x - x' + 2 z), the traffic kept where both are on a or both on b.
  void add_item(std::size_t depth, std::size_t item) {
    double gain = arrangement_.affinity(layer_of(depth), item, block_.gpu_a) -
                  arrangement_.affinity(layer_of(depth), item, block_.gpu_b);
    const auto leave_out_free = [&](std::size_t other_depth) {
      const Grid<float>* table = traffic(depth, other_depth);
      if (table == nullptr) return;
      for (const std::size_t other : free_[other_depth]) {
        const double weight = together_gain_ * static_cast<double>((*table)(item, other));
        gain -= is_on_a(other_depth, other) ? weight : -weight;
        gain -= weight;
      }
    };
    if (depth > 0) leave_out_free(depth - 1);
    if (depth + 1 < block_.layers) leave_out_free(depth + 1);
    model_.add_binary(gain);
    incumbent_.push_back(is_on_a(depth, item) ? 1.0 : 0.0);
  }

  [[nodiscard]] std::size_t column(std::size_t depth, std::size_t index) const {
    std::size_t first = 0;
    for (std::size_t before = 0; before < depth; ++before) first += free_[before].size();
    return first + index;
  }

  void add_layer_rows(std::size_t depth, std::span<const std::int64_t> cap_units) {
    std::vector<Term> slots;
    std::vector<Term> load;
    const double cap = static_cast<double>(std::max<std::int64_t>(1, cap_units[layer_of(depth)]));
    double total = 0;
    for (std::size_t index = 0; index < free_[depth].size(); ++index) {
      const double units = static_cast<double>(instance_.load_units(layer_of(depth), free_[depth][index])) / cap;
      slots.push_back({column(depth, index), 1.0});
      if (units > 0) load.push_back({column(depth, index), units});
      total += units;
    }
    model_.add_equality(slots, static_cast<double>(instance_.slots_per_gpu()));
    model_.add_row(load, std::max(0.0, total - 1.0), 1.0);
    add_replica_rows(depth);
  }

  void add_replica_rows(std::size_t depth) {
    const auto experts = instance_.expert_of_item[layer_of(depth)];
    for (std::size_t index = 0; index + 1 < free_[depth].size(); ++index) {
      if (experts[free_[depth][index]] != experts[free_[depth][index + 1]]) continue;
      const Term one_each[] = {{column(depth, index), 1.0}, {column(depth, index + 1), 1.0}};
      model_.add_equality(one_each, 1.0);
    }
  }

  void add_products(std::size_t depth) {
    const Grid<float>* table = traffic(depth, depth + 1);
    if (table == nullptr) return;
    const auto& here = free_[depth];
    const auto& there = free_[depth + 1];
    const auto slots = static_cast<double>(instance_.slots_per_gpu());
    Grid<std::size_t> product(here.size(), there.size());
    for (std::size_t i = 0; i < here.size(); ++i) {
      for (std::size_t j = 0; j < there.size(); ++j) {
        product(i, j) = model_.add_fraction(2.0 * together_gain_ * static_cast<double>((*table)(here[i], there[j])));
        incumbent_.push_back(is_on_a(depth, here[i]) && is_on_a(depth + 1, there[j]) ? 1.0 : 0.0);
      }
    }
    for (std::size_t i = 0; i < here.size(); ++i) {
      std::vector<Term> row{{column(depth, i), -slots}};
      for (std::size_t j = 0; j < there.size(); ++j) row.push_back({product(i, j), 1.0});
      model_.add_equality(row, 0.0);
    }
    for (std::size_t j = 0; j < there.size(); ++j) {
      std::vector<Term> row{{column(depth + 1, j), -slots}};
      for (std::size_t i = 0; i < here.size(); ++i) row.push_back({product(i, j), 1.0});
      model_.add_equality(row, 0.0);
    }
  }

  const Arrangement& arrangement_;
  const Instance& instance_;
  PairBlock block_;
  /// Items of the two GPUs, by layer of the block.
  std::vector<std::vector<std::size_t>> free_;
  /// What two items of neighbouring layers save on one GPU rather than on both.
  double together_gain_;
  GlpkProgram model_;
  std::vector<double> incumbent_;
};

bool fits_caps(const Arrangement& arrangement, std::span<const std::int64_t> cap_units,
               const std::vector<ItemMove>& moves) {
  const Instance& instance = arrangement.instance();
  for (const ItemMove& first : moves) {
    std::int64_t load = arrangement.gpu_load(first.layer)[first.to];
    std::ptrdiff_t items = 0;
    for (const ItemMove& move : moves) {
      if (move.layer != first.layer) continue;
      const std::int64_t units = instance.load_units(move.layer, move.item);
      load += move.to == first.to ? units : -units;
      items += move.to == first.to ? 1 : -1;
    }
    if (load > cap_units[first.layer] || items != 0) return false;
  }
  return true;
}

}  // namespace

PairSolution solve_pair(const Arrangement& arrangement, std::span<const std::int64_t> cap_units, const PairBlock& block,
                        const ExactLimit& limit) {
  const PairModel model(arrangement, cap_units, block);
  const GlpkProgram::Outcome outcome = model.improve(limit);
  PairSolution solution;
  // Of the split as it is, until moves are taken.
  solution.gain_bound = outcome.bound - (outcome.value - outcome.gain);
  auto moves = model.moves(outcome.values);
  if (outcome.is_improved && !fits_caps(arrangement, cap_units, moves)) return solution;
  solution.is_closed = outcome.is_closed();
  if (!outcome.is_improved) return solution;
  solution.moves = std::move(moves);
  solution.gain = outcome.gain;
  solution.gain_bound = outcome.bound - outcome.value;
  return solution;
}

}  // namespace evenkeel
