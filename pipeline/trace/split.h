#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "partition/foundation/result.h"
#include "pipeline/trace/trace.h"

namespace evenkeel {

/// Which sequences are fitted and which score the result, both ascending.
struct Split {
  std::vector<std::size_t> fit;
  std::vector<std::size_t> score;
};

/// Sequence i is scored if floor((i + 1) share) > floor(i share), else fitted: 0.5 fits the even ones and scores the
/// odd. With a seed the sequences are first put in the order of splitmix64(seed xor i), ties by number, and i counts in
/// that order. Fails with kInvalidInput for a share outside [0, 1), or where a part would be empty.
[[nodiscard]] Result<Split> hold_out(const Trace& trace, double share, std::optional<std::uint64_t> seed);

}  // namespace evenkeel
