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
    : layer_of_round_(std::move(layer_of_round)), top_k_(top_k), table_(layers, kFirstExperts) {}

void LoadCounter::grow(std::size_t experts) {
  Grid<std::uint64_t> larger(table_.rows(), std::bit_ceil(experts));
  for (std::size_t layer = 0; layer < table_.rows(); ++layer) {
    std::ranges::copy(table_[layer], larger[layer].begin());
  }
  table_ = std::move(larger);
}

void LoadCounter::count(std::span<const ExpertIndex> tokens) {
  const std::size_t token_ids = layer_of_round_.size() * top_k_;
  const std::size_t block = std::max<std::size_t>(1, kBlockIds / token_ids) * token_ids;
  has_counted_ = has_counted_ || !tokens.empty();
  while (!tokens.empty()) {
    const auto part = tokens.first(std::min(block, tokens.size()));
    tokens = tokens.subspan(part.size());
    // kNoExpert is the largest of all ids: 0 after adding one, and so never the largest here.
    ExpertIndex beyond = 0;
    ExpertIndex nones = 0;
    for (const ExpertIndex expert : part) {
      beyond = std::max(beyond, static_cast<ExpertIndex>(expert + 1));
      nones = static_cast<ExpertIndex>(nones | (expert == kNoExpert ? 1 : 0));
    }
    if (beyond > table_.cols()) grow(beyond);
    const ExpertIndex* id = part.data();
    for (std::size_t token = 0; token < part.size() / token_ids; ++token) {
      for (const std::uint32_t layer : layer_of_round_) {
        std::uint64_t* const load = table_[layer].data();
        if (nones == 0) {
          for (std::size_t choice = 0; choice < top_k_; ++choice) ++load[*id++];
        } else {
          for (std::size_t choice = 0; choice < top_k_; ++choice, ++id) {
            if (*id != kNoExpert) ++load[*id];
          }
        }
      }
    }
  }
}

Grid<std::uint64_t> LoadCounter::take() {
  has_counted_ = false;
  return std::exchange(table_, Grid<std::uint64_t>(table_.rows(), table_.cols()));
}

}  // namespace evenkeel
