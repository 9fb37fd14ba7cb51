#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "partition/model/routing_profile.h"

namespace evenkeel {

/// A bounded, even sample of a stream of tokens: one in 2^n of them, where n grows so that the sample stays below its
/// limit. Which tokens stay depends only on their place in the stream, so equal streams give equal samples.
class PathSample {
 public:
  /// `token_ids`: ids of one token (rounds x top-k). At most `tokens_max` tokens are kept, at least one.
  PathSample(std::size_t token_ids, std::size_t tokens_max) : token_ids_(token_ids), tokens_max_(tokens_max) {}

  /// The tokens that follow are of this sequence.
  void begin_sequence(std::size_t sequence) { sequence_ = sequence; }
  /// Offers whole tokens, each of which stands for `one_in` (a power of two) of the traffic.
  void offer(std::span<const ExpertIndex> tokens, std::uint64_t one_in);

  /// Each token kept stands for so many.
  [[nodiscard]] std::uint64_t one_in() const { return std::uint64_t{1} << rate_; }
  /// The tokens kept, in order [tokens, token_ids].
  [[nodiscard]] const std::vector<ExpertIndex>& experts() const { return experts_; }
  /// The sequence each is of [tokens].
  [[nodiscard]] const std::vector<std::size_t>& sequences() const { return sequence_of_token_; }

 private:
  /// Drops every token that a lower rate (log2 of one in so many) leaves out.
  void thin_to(unsigned rate);

  std::size_t token_ids_;
  std::size_t tokens_max_;
  unsigned rate_ = 0;
  std::size_t sequence_ = 0;
  std::uint64_t offered_ = 0;
  std::vector<ExpertIndex> experts_;
  std::vector<std::size_t> sequence_of_token_;
  /// Highest rate at which each token is still kept [tokens].
  std::vector<std::uint8_t> lasts_to_;
};

}  // namespace evenkeel
