#include "agents/probe/path_batches.h"

namespace evenkeel::probe {

std::uint32_t batch_tokens(std::size_t layers, std::size_t top_k) {
  constexpr std::size_t kBatchExperts = std::size_t{1} << 19;
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>(kBatchExperts / std::max<std::size_t>(layers * top_k, 1), 1, kBatchTokens));
}

PathWriter::PathWriter(Header& header, const Geometry& geometry, std::uint64_t* batches, std::uint32_t one_in)
    : header_(&header),
      geometry_(geometry),
      batches_(batches),
      batch_words_(Layout(geometry).batch_words),
      one_in_(one_in),
      layer_samples_(geometry.layers) {}

void PathWriter::open() {
  is_open_ = true;
  number_ = header_->batches.load(std::memory_order_relaxed) + 1;
  header_->batch[number_ % kBatches].mark.store(2 * number_, std::memory_order_relaxed);
  data_ = reinterpret_cast<std::uint16_t*>(batches_ + (number_ % kBatches) * batch_words_);
  fill_ = 0;
}

std::uint64_t PathWriter::end_step(std::size_t stage, std::uint64_t tokens, std::uint64_t window) {
  if (one_in_ == 0 || tokens == 0) return 0;
  if (!is_open_) open();
  window_ = window;
  const std::uint64_t sampled = samples_below(tokens);
  const std::uint64_t kept = std::min(sampled, geometry_.batch_tokens - fill_);
  for (std::size_t layer = 0; layer < geometry_.layers; ++layer) {
    // Tokens that this layer has not seen chose nothing there.
    for (std::uint64_t j = layer_samples_[layer]; j < kept; ++j) {
      for (std::size_t i = 0; i < geometry_.top_k; ++i) put(cell(layer, fill_ + j) + i, kNoExpert);
    }
    layer_samples_[layer] = 0;
  }
  for (std::uint64_t j = 0; j < kept; ++j) put(cell(geometry_.layers, 0) + fill_ + j, stage);
  fill_ += kept;
  offset_ = (offset_ + one_in_ - tokens % one_in_) % one_in_;
  const bool is_wanted = header_->batches_wanted.load(std::memory_order_relaxed) >= number_;
  if (is_wanted || 2 * fill_ >= geometry_.batch_tokens) flush();
  return sampled - kept;
}

void PathWriter::flush() {
  if (!is_open_ || fill_ == 0) return;
  Batch& batch = header_->batch[number_ % kBatches];
  batch.tokens.store(fill_, std::memory_order_relaxed);
  batch.window.store(window_, std::memory_order_relaxed);
  batch.mark.store(2 * number_ + 1, std::memory_order_release);
  header_->batches.store(number_, std::memory_order_release);
  is_open_ = false;
}

}  // namespace evenkeel::probe
