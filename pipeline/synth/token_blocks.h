#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "pipeline/synth/router.h"
#include "pipeline/synth/traffic.h"

namespace evenkeel {

/// NumPy's name of the type that holds a model's ids: one byte where that is enough, signed where there are null
/// experts, which are -1.
[[nodiscard]] std::string_view id_dtype(const ModelSpec& model);

/// Routes a synthetic trace's tokens in order, as the bytes of `ids` [tokens, rounds, top_k]. Equal on one and on two
/// threads. Memory: a few thousand tokens. The router and the sequences must outlive it. Not thread-safe.
class TokenBlocks {
 public:
  TokenBlocks(const Router& router, const std::vector<SyntheticSequence>& sequences, const SynthOptions& options);

  /// Fills `out` with the next bytes. Asked for no more than there are.
  void read(std::span<std::byte> out);
  /// Share of the tokens that are routed.
  [[nodiscard]] double progress() const;

 private:
  void route_next_blocks();
  void route_block(std::uint64_t first, std::uint64_t last, std::byte* out) const;
  [[nodiscard]] std::vector<std::uint32_t> categories_of(std::uint64_t first, std::uint64_t last) const;

  const Router& router_;
  const std::vector<SyntheticSequence>& sequences_;
  SynthOptions options_;
  std::size_t id_bytes_;
  std::size_t token_bytes_;
  std::uint64_t next_token_ = 0;
  std::vector<std::byte> ready_;
  std::size_t taken_bytes_ = 0;
};

}  // namespace evenkeel
