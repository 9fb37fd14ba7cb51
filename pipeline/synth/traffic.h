#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pipeline/synth/synth_options.h"

namespace evenkeel {

/// Kinds of text that a sequence may be of.
inline constexpr std::size_t kDomains = 8;
/// Prefill and decode.
inline constexpr std::size_t kStages = 2;
/// A category is a domain in a stage: domain * kStages + stage.
inline constexpr std::size_t kCategories = kDomains * kStages;

struct SyntheticSequence {
  std::uint64_t first_token;
  std::uint32_t window;
  std::uint32_t category;

  [[nodiscard]] bool is_decode() const { return category % kStages == 1; }
};

/// Share of each domain [kDomains] in a window. Pure.
[[nodiscard]] std::vector<double> domain_mix(const SynthOptions& options, std::size_t window);

/// Sequences in file order: windows of equally many tokens (but for one), cut into sequences of lognormal length,
/// median 512 and mostly from 256 to 1,024, each of a domain drawn from the mix of its window, one half of them in each
/// stage.
[[nodiscard]] std::vector<SyntheticSequence> plan_traffic(const SynthOptions& options);

}  // namespace evenkeel
