#include "pipeline/profile/path_sample.h"

#include <algorithm>
#include <bit>

#include "partition/foundation/random.h"

namespace evenkeel {

void PathSample::thin_to(unsigned rate) {
  std::size_t kept = 0;
  for (std::size_t token = 0; token < lasts_to_.size(); ++token) {
    if (lasts_to_[token] < rate) continue;
    const auto from = experts_.begin() + static_cast<std::ptrdiff_t>(token * token_ids_);
    std::copy_n(from, token_ids_, experts_.begin() + static_cast<std::ptrdiff_t>(kept * token_ids_));
    sequence_of_token_[kept] = sequence_of_token_[token];
    lasts_to_[kept] = lasts_to_[token];
    ++kept;
  }
  experts_.resize(kept * token_ids_);
  sequence_of_token_.resize(kept);
  lasts_to_.resize(kept);
  rate_ = rate;
}

void PathSample::offer(std::span<const ExpertIndex> tokens, std::uint64_t one_in) {
  const auto own_rate = static_cast<unsigned>(std::countr_zero(one_in));
  if (own_rate > rate_) thin_to(own_rate);
  for (std::size_t at = 0; at < tokens.size(); at += token_ids_) {
    // A token passes each halving by one fair bit of its own.
    const auto passes = static_cast<unsigned>(std::countr_zero(splitmix64(offered_++)));
    const unsigned lasts_to = own_rate + passes;
    if (lasts_to < rate_) continue;
    while (lasts_to_.size() >= tokens_max_) thin_to(rate_ + 1);
    if (lasts_to < rate_) continue;
    const auto token = tokens.subspan(at, token_ids_);
    experts_.insert(experts_.end(), token.begin(), token.end());
    sequence_of_token_.push_back(sequence_);
    lasts_to_.push_back(static_cast<std::uint8_t>(lasts_to));
  }
}

}  // namespace evenkeel
