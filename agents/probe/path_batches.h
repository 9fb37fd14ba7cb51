#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "agents/probe/banks.h"
#include "agents/probe/layout.h"
#include "partition/foundation/id.h"

namespace evenkeel::probe {

/// Tokens a batch may hold: fewer where a token's path is long, so that a batch stays about 1 MiB.
[[nodiscard]] std::uint32_t batch_tokens(std::size_t layers, std::size_t top_k);

/// The worker's side of the ring of sampled token paths: every `one_in`-th token of all, straight into the batch that
/// is open. A full batch takes no more, and the oldest batch gives way to a new one: it never waits for a reader.
class PathWriter {
 public:
  PathWriter(Header& header, const Geometry& geometry, std::uint64_t* batches, std::uint32_t one_in);

  /// Takes the sampled ones of `tokens` tokens, which are the running step's from number `first` on.
  template <class Id>
  void sample(std::size_t layer, const Id* ids, std::uint64_t first, std::size_t tokens);
  /// Closes the step's samples; returns how many found no room.
  std::uint64_t end_step(std::size_t stage, std::uint64_t tokens, std::uint64_t window);
  /// Publishes what the open batch holds.
  void flush();

 private:
  void open();
  /// Samples among the first `tokens` tokens of the step.
  [[nodiscard]] std::uint64_t samples_below(std::uint64_t tokens) const {
    return tokens <= offset_ ? 0 : (tokens - offset_ - 1) / one_in_ + 1;
  }
  /// The ids of a sample in a layer; `layer` = layers is the row of stages.
  [[nodiscard]] std::uint16_t* cell(std::size_t layer, std::uint64_t place) const {
    return data_ + (layer * geometry_.batch_tokens + place) * geometry_.top_k;
  }
  static void put(std::uint16_t* cell, std::uint64_t value) {
    std::atomic_ref(*cell).store(static_cast<std::uint16_t>(value), std::memory_order_release);
  }

  Header* header_;
  Geometry geometry_;
  std::uint64_t* batches_;
  std::size_t batch_words_;
  std::uint64_t one_in_;
  /// The step's first sampled token.
  std::uint64_t offset_ = 0;
  /// The open batch, its data, and its tokens from steps that are over.
  bool is_open_ = false;
  std::uint64_t number_ = 0;
  std::uint16_t* data_ = nullptr;
  std::uint64_t fill_ = 0;
  std::uint64_t window_ = 0;
  /// Samples of the running step each layer has [layers].
  std::vector<std::uint64_t> layer_samples_;
};

template <class Id>
void PathWriter::sample(std::size_t layer, const Id* ids, std::uint64_t first, std::size_t tokens) {
  if (one_in_ == 0 || tokens == 0) return;
  if (!is_open_) open();
  const std::uint64_t room = geometry_.batch_tokens - fill_;
  const std::uint64_t end = std::min(samples_below(first + tokens), room);
  for (std::uint64_t j = samples_below(first); j < end; ++j) {
    const Id* const from = ids + (offset_ + j * one_in_ - first) * geometry_.top_k;
    std::uint16_t* const to = cell(layer, fill_ + j);
    for (std::size_t i = 0; i < geometry_.top_k; ++i) {
      const auto id = static_cast<std::size_t>(from[i]);
      put(to + i, id < geometry_.experts ? id : kNoExpert);
    }
  }
  layer_samples_[layer] = std::max(layer_samples_[layer], end);
}

}  // namespace evenkeel::probe
