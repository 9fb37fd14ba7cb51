#include "pipeline/profile/load_counter.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace evenkeel {
namespace {

/// A block's largest id is looked for before it is counted, while it is in the first-level cache.
constexpr std::size_t kBlockIds = 4096;
constexpr std::size_t kFirstExperts = 64;

}  // namespace

LoadCounter::LoadCounter(std::size_t layers, std::vector<std::uint32_t> layer_of_round, std::size_t top_k)
    : layer_of_round_(std::move(layer_of_round)),
      top_k_(top_k),
      // A loop of known length is unrolled: 3.4 instead of 20 ns a row of six.
      count_block_(top_k == 1   ? &LoadCounter::count_block<1>
                   : top_k == 2 ? &LoadCounter::count_block<2>
                   : top_k == 4 ? &LoadCounter::count_block<4>
                   : top_k == 6 ? &LoadCounter::count_block<6>
                   : top_k == 8 ? &LoadCounter::count_block<8>
                                : &LoadCounter::count_block<0>),
      table_(layers, kFirstExperts) {}

void LoadCounter::grow(std::size_t experts) {
  Grid<std::uint64_t> larger(table_.rows(), std::bit_ceil(experts));
  for (std::size_t layer = 0; layer < table_.rows(); ++layer) {
    std::ranges::copy(table_[layer], larger[layer].begin());
  }
  table_ = std::move(larger);
}

template <std::size_t kTopK>
void LoadCounter::count_block(std::span<const ExpertIndex> tokens) {
  const std::size_t top_k = kTopK > 0 ? kTopK : top_k_;
  // Locals, because for all the compiler knows a count may overwrite the table's own members.
  std::uint64_t* const table = table_.cells().data();
  const std::size_t experts = table_.cols();
  const std::span<const std::uint32_t> layers(layer_of_round_);
  const ExpertIndex* id = tokens.data();
  const ExpertIndex* const end = id + tokens.size();
  while (id != end) {
    for (const std::uint32_t layer : layers) {
      std::uint64_t* const load = table + layer * experts;
      for (std::size_t choice = 0; choice < top_k; ++choice) ++load[*id++];
    }
  }
}

void LoadCounter::count_some(std::span<const ExpertIndex> tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] == kNoExpert) continue;
    if (tokens[i] >= table_.cols()) grow(std::size_t{tokens[i]} + 1);
    ++table_(layer_of_round_[i / top_k_ % layer_of_round_.size()], tokens[i]);
  }
}

void LoadCounter::count(std::span<const ExpertIndex> tokens) {
  const std::size_t token_ids = layer_of_round_.size() * top_k_;
  const std::size_t block = std::max<std::size_t>(1, kBlockIds / token_ids) * token_ids;
  has_counted_ = has_counted_ || !tokens.empty();
  while (!tokens.empty()) {
    const auto part = tokens.first(std::min(block, tokens.size()));
    tokens = tokens.subspan(part.size());
    // As signed numbers, which every x86-64 compares eight at a time; kNoExpert is -1 among them.
    std::int16_t smallest = 0;
    std::int16_t largest = 0;
    for (const ExpertIndex expert : part) {
      smallest = std::min(smallest, static_cast<std::int16_t>(expert));
      largest = std::max(largest, static_cast<std::int16_t>(expert));
    }
    if (smallest < 0) {
      count_some(part);
      continue;
    }
    if (static_cast<std::size_t>(largest) >= table_.cols()) grow(static_cast<std::size_t>(largest) + 1);
    (this->*count_block_)(part);
  }
}

Grid<std::uint64_t> LoadCounter::take() {
  has_counted_ = false;
  return std::exchange(table_, Grid<std::uint64_t>(table_.rows(), table_.cols()));
}

}  // namespace evenkeel
