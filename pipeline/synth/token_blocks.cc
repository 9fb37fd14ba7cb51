#include "pipeline/synth/token_blocks.h"

#include <algorithm>
#include <cstring>

#include "partition/foundation/parallel.h"
#include "pipeline/synth/expert_choice.h"
#include "pipeline/synth/random_fields.h"

namespace evenkeel {
namespace {

/// Tokens that share a stream of random numbers and are scored by one matrix product.
constexpr std::uint64_t kBlockTokens = 256;
constexpr std::uint64_t kBlocksAtOnce = 8;

/// Writes chosen experts as ids. In two bytes kNoExpert has the bits of a signed -1.
void store(std::span<const ExpertIndex> chosen, std::size_t experts, std::size_t id_bytes, std::byte* out) {
  for (const ExpertIndex expert : chosen) {
    const ExpertIndex id = expert < experts ? expert : kNoExpert;
    std::memcpy(out, &id, id_bytes);
    out += id_bytes;
  }
}

}  // namespace

std::string_view id_dtype(const ModelSpec& model) {
  if (model.null_experts > 0) return "<i2";
  return model.experts <= 256 ? "|u1" : "<u2";
}

TokenBlocks::TokenBlocks(const Router& router, const std::vector<SyntheticSequence>& sequences,
                         const SynthOptions& options)
    : router_(router),
      sequences_(sequences),
      options_(options),
      id_bytes_(id_dtype(router.model()) == "|u1" ? 1 : 2),
      token_bytes_(router.rounds().size() * router.model().top_k * id_bytes_) {}

void TokenBlocks::read(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    if (taken_bytes_ == ready_.size()) route_next_blocks();
    const std::size_t count = std::min(out.size() - done, ready_.size() - taken_bytes_);
    std::memcpy(out.data() + done, ready_.data() + taken_bytes_, count);
    taken_bytes_ += count;
    done += count;
  }
}

double TokenBlocks::progress() const { return static_cast<double>(next_token_) / static_cast<double>(options_.tokens); }

void TokenBlocks::route_next_blocks() {
  const std::uint64_t first = next_token_;
  next_token_ = std::min(options_.tokens, first + kBlockTokens * kBlocksAtOnce);
  ready_.resize((next_token_ - first) * token_bytes_);
  taken_bytes_ = 0;
  const std::uint64_t blocks = (next_token_ - first + kBlockTokens - 1) / kBlockTokens;
  for_each_item(blocks, options_.threads, [&](std::size_t block) {
    const std::uint64_t start = first + block * kBlockTokens;
    route_block(start, std::min(next_token_, start + kBlockTokens), ready_.data() + (start - first) * token_bytes_);
  });
}

void TokenBlocks::route_block(std::uint64_t first, std::uint64_t last, std::byte* out) const {
  const ModelSpec& model = router_.model();
  Random random = synth_random(options_.seed, SynthStream::kTokens, first / kBlockTokens);
  const std::vector<std::uint32_t> categories = categories_of(first, last);
  Eigen::MatrixXf latent(static_cast<Eigen::Index>(router_.parameters().latent_size),
                         static_cast<Eigen::Index>(last - first));
  fill_normal(random, latent);
  Eigen::MatrixXf scores;
  ExpertChoice choice(model);
  std::vector<ExpertIndex> chosen(model.top_k);
  for (std::size_t round = 0; round < router_.rounds().size(); ++round) {
    if (round > 0) walk(router_.parameters().persistence, random, latent);
    score_tokens(router_.rounds()[round], latent, categories, random, scores);
    for (Eigen::Index token = 0; token < scores.cols(); ++token) {
      choice.choose({scores.col(token).data(), static_cast<std::size_t>(scores.rows())}, chosen);
      store(chosen, model.experts, id_bytes_,
            out + static_cast<std::size_t>(token) * token_bytes_ + round * model.top_k * id_bytes_);
    }
  }
}

std::vector<std::uint32_t> TokenBlocks::categories_of(std::uint64_t first, std::uint64_t last) const {
  auto sequence = std::ranges::upper_bound(sequences_, first, {}, &SyntheticSequence::first_token) - 1;
  std::vector<std::uint32_t> categories;
  for (std::uint64_t token = first; token < last; ++token) {
    if (sequence + 1 != sequences_.end() && (sequence + 1)->first_token == token) ++sequence;
    categories.push_back(sequence->category);
  }
  return categories;
}

}  // namespace evenkeel
